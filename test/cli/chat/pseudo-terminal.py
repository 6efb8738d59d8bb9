# Plays somebody at a terminal: runs a command on a pseudo terminal, and types and waits as the lines of standard input say, each a JSON list
# ["see", regular expression], ["type", keys] or ["end"]. Prints JSON: the exit status, what did not come, and all that the screen received.
import json
import os
import pty
import re
import select
import sys
import time

PATIENCE = 20
command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)

screen = ""
seen = 0
status = None


def read(until):
    """Reads what comes within a moment; False at the end."""
    global screen
    ready, _, _ = select.select([terminal], [], [], until)
    if not ready:
        return True
    try:
        data = os.read(terminal, 65536)
    except OSError:  # The other side is closed.
        return False
    screen += data.decode("utf-8", "replace")
    return len(data) > 0


failure = None
for line in sys.stdin:
    what, *rest = json.loads(line)
    deadline = time.time() + PATIENCE
    if what == "type":
        os.write(terminal, rest[0].encode())
    elif what == "see":
        while (found := re.search(rest[0], screen[seen:], re.S)) is None:
            if time.time() > deadline or not read(0.2):
                failure = rest[0]
                break
        if failure is not None:
            break
        seen += found.end()
    elif what == "end":
        while read(0.2) and time.time() < deadline:
            pass
if failure is not None:
    os.kill(child, 9)
_, code = os.waitpid(child, 0)
print(json.dumps({"status": os.waitstatus_to_exitcode(code), "missed": failure, "screen": screen}))
