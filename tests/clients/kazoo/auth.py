"""Says who it is to the servers, and makes a znode of its own.

auth.py <servers> <path> sasl <user> <password>
auth.py <servers> <path> tls <authority> <certificate and key>
"""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError
from kazoo.security import CREATOR_ALL_ACL

servers, path, way, *proof = sys.argv[1:]
if way == "sasl":
    options = {"sasl_options": {"mechanism": "DIGEST-MD5", "username": proof[0], "password": proof[1]}}
else:
    options = {"use_ssl": True, "ca": proof[0], "certfile": proof[1], "keyfile": proof[1]}
client = KazooClient(servers, connection_retry={"max_tries": 0}, **options)
try:
    client.start(timeout=20)
    client.create(path, b"mine", acl=CREATOR_ALL_ACL)
    acl, _ = client.get_acls(path)
    print("owned by", *(f"{line.id.scheme}:{line.id.id}" for line in acl))
    data, _ = client.get(path)
    assert data == b"mine", data
except AuthFailedError:
    print("refused")
client.stop()
