"""What certificate authorities publish: asked for once a run, whatever the number of targets that need it.

The URLs stand in certificates, so a scanned host chose them: each passes the gate (`probe.net.gate`), and what is
asked is bounded by a budget of requests and bytes (`allowance`). What came back is judged here only as far as it takes
to tell whose word it is; whether it is current, and what follows, is the rules' to say.
"""
