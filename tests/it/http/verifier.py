"""Says through the snippet for Python what it makes of requests, a JSON line each."""

import json, sys

from brasa_http import Refused, verify

for line in sys.stdin:
    told = json.loads(line)
    try:
        said = {"job": verify(told["secrets"], told["headers"], told["body"].encode(), now=told["now"])}
    except Refused as refused:
        said = {"refused": str(refused)}
    print(json.dumps(said), flush=True)
