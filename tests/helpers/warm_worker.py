"""One of the processes in which pytest-xdist runs tests, as a fork of `warm_server.py`.

    python warm_worker.py -u -c CODE

Each of them would import the large libraries again, which takes as long as hundreds of tests. Its input and output are
those of this process, which waits for its end.
"""

import sys

import warm_process

if __name__ == "__main__":
    worker = warm_process.start([sys.executable, *sys.argv[2:]], stdin=0)
    sys.exit(worker.wait())
