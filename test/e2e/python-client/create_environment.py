"""Creates an environment with a client generated from our OpenAPI document, waits until it is active, removes it."""

import sys
import time
from pathlib import Path

from rancher_client import AuthenticatedClient
from rancher_client.api.environments import create_environment, delete_environment, get_environment
from rancher_client.models import EnvironmentCreate, Operation

url, key_file, name = sys.argv[1:4]
client = AuthenticatedClient(base_url=url, token=Path(key_file).read_text().strip())

body = EnvironmentCreate.from_dict({"name": name, "spec": {"hosts": {"local": 1}}})
operation = create_environment.sync(client=client, body=body)
assert isinstance(operation, Operation), operation
environment_id = operation.target.id
print("created", environment_id, flush=True)

deadline = time.monotonic() + 300
while True:
    environment = get_environment.sync(environment_id, client=client)
    if environment.status.state == "active":
        break
    if time.monotonic() > deadline:
        sys.exit(f"not active after 300 s: {environment.to_dict()}")
    time.sleep(0.2)
print("active", environment.spec.kubernetes_version, flush=True)

delete_environment.sync(environment_id, client=client)
while get_environment.sync_detailed(environment_id, client=client).status_code != 404:
    if time.monotonic() > deadline:
        sys.exit("not removed")
    time.sleep(0.2)
print("removed", flush=True)
