"""What is measured: each case takes started engines and returns a row of figures per engine.

- `plain`: requests over HTTP/1.1, as many as go and at a steady rate. `protocols`: HTTP/2, TLS, WebSocket.
- `bounds`: connections that rest, upstreams that are slow or take few connections.
- `copies`: every request copied and compared. `reloads`: the configuration changed under load.
- `answers`: before anything is measured, all engines must answer alike. `rounds`: how figures are taken.
"""

from cases.bounds import BOUNDS
from cases.copies import COPIES
from cases.plain import PLAIN
from cases.protocols import PROTOCOLS
from cases.reloads import RELOADS

CASES = PLAIN | PROTOCOLS | BOUNDS | RELOADS | COPIES
