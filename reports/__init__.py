"""Reports: read a run and its history, compute no verdict, and put it on screen and paper."""
