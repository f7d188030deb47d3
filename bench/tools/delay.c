/* A relay that delays, where the kernel has no netem: what comes to PORT of any local address goes to BACKEND of the
 * same address, half a round trip later; so does what comes back. The first data of a connection waits for a whole round
 * trip more, which stands for the opening of the connection.
 *
 *   delay MILLISECONDS PORT BACKEND [PORT BACKEND ...]
 *
 * It listens on all addresses, so it belongs into a network namespace of its own. It says "ready" when it listens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct side side;
struct side { int fd; side *other; int ended; int first; long long last; int waiting; int listener; int backend; };
typedef struct { long long due; unsigned long long order; side *to; int length; char *data; } piece;

static piece *heap;
static size_t held, room;
static unsigned long long order;
static long long half;
static int polled;

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000LL + at.tv_nsec / 1000;
}

static int before(const piece *a, const piece *b) { return a->due != b->due ? a->due < b->due : a->order < b->order; }

static void put(piece made) {
    if (held == room) heap = realloc(heap, (room = room ? 2 * room : 1024) * sizeof *heap);
    size_t at = held++;
    for (; at && before(&made, &heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = made;
}

static piece taken(void) {
    piece top = heap[0], last = heap[--held];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < held; at = child) {
        if (child + 1 < held && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &last)) break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

/* A pair is freed when both of its sides have ended and nothing waits for either. */
static void gone(side *one) {
    side *other = one->other;
    if (one->ended != 3 || other->ended != 3 || one->waiting || other->waiting) return;
    close(one->fd);
    close(other->fd);
    free(one);
    free(other);
}

/* ended: 1 read to its end, 2 shut for writing */
static void deliver(piece due) {
    side *to = due.to;
    to->waiting--;
    for (int sent = 0; sent < due.length;) {
        ssize_t n = send(to->fd, due.data + sent, due.length - sent, MSG_NOSIGNAL);
        if (n > 0) { sent += n; continue; }
        struct pollfd full = {to->fd, POLLOUT, 0};
        if (n < 0 && errno == EAGAIN && poll(&full, 1, 1000) > 0) continue;
        break;
    }
    free(due.data);
    if (due.length <= 0) {
        if (due.length < 0) {
            struct linger reset = {1, 0};
            setsockopt(to->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        shutdown(to->fd, due.length < 0 ? SHUT_RDWR : SHUT_WR);
        to->ended |= 2;
    }
    gone(to);
}

static void later(side *from, int length, char *data) {
    long long due = now() + half + (from->first ? 2 * half : 0);
    if (due < from->last) due = from->last;
    from->first = 0;
    from->last = due;
    from->other->waiting++;
    put((piece){due, order++, from->other, length, data});
}

static void readable(side *from) {
    char buffer[65536];
    for (;;) {
        ssize_t n = recv(from->fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0 && errno == EINTR) continue;
        if (n > 0) {
            char *copy = malloc(n);
            memcpy(copy, buffer, n);
            later(from, n, copy);
            continue;
        }
        epoll_ctl(polled, EPOLL_CTL_DEL, from->fd, NULL);
        from->ended |= 1;
        later(from, n < 0 ? -1 : 0, NULL);
        return;
    }
}

static void watch(int fd, side *of, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = of};
    epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event);
}

static void accepted(side *listener) {
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK), one = 1;
        if (fd < 0) return;
        struct sockaddr_in where;
        socklen_t size = sizeof where;
        getsockname(fd, (struct sockaddr *)&where, &size);
        where.sin_port = htons(listener->backend);
        int back = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(back, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connect(back, (struct sockaddr *)&where, sizeof where);
        side *client = calloc(1, sizeof *client), *server = calloc(1, sizeof *server);
        *client = (side){.fd = fd, .other = server, .first = 1};
        *server = (side){.fd = back, .other = client};
        watch(fd, client, EPOLLIN | EPOLLRDHUP);
        watch(back, server, EPOLLIN | EPOLLRDHUP);
    }
}

int main(int count, char **words) {
    polled = epoll_create1(0);
    half = (long long)(atof(words[1]) * 500);
    for (int at = 2; at + 1 < count; at += 2) {
        side *listener = calloc(1, sizeof *listener);
        struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(words[at]))};
        int one = 1;
        *listener = (side){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .listener = 1, .backend = atoi(words[at + 1])};
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(listener->fd, (struct sockaddr *)&where, sizeof where) || listen(listener->fd, 4096)) {
            perror("delay");
            return 1;
        }
        watch(listener->fd, listener, EPOLLIN);
    }
    puts("ready");
    fflush(stdout);
    struct epoll_event events[512];
    for (;;) {
        long long left = held ? heap[0].due - now() : -1;
        int found = epoll_wait(polled, events, 512, !held ? -1 : left <= 0 ? 0 : (int)((left + 999) / 1000));
        for (int at = 0; at < found; at++) {
            side *one = events[at].data.ptr;
            if (one->listener) accepted(one);
            else readable(one);
        }
        while (held && heap[0].due <= now()) deliver(taken());
    }
}
