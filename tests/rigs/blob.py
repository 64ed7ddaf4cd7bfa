"""Azure Blob containers and SAS tokens by Microsoft's own library, for the emulator.

    blob.py container --url URL --name NAME
    blob.py sas --url URL --container NAME      prints a read-only SAS of the container
    blob.py get --url URL --container NAME --to FOLDER      copies every blob below the folder
    blob.py delete --url URL --container NAME --name BLOB
    blob.py policies --url URL --container NAME             prints the stored access policies and who may read without any
    blob.py policy --url URL --container NAME --name ID [--days N] [--public]
                                                            adds a stored access policy; --public opens the container to everybody
    blob.py vectors                                         prints random inputs of a SAS bound to a policy with what comes of them
"""

import argparse
import base64
import json
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

from azure.storage.blob import AccessPolicy, BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.blob._shared_access_signature import BlobSharedAccessSignature

# Published by Microsoft for the emulator; no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

# The version that haul signs for.
VERSION = "2023-11-03"
VECTORS = 240


def vectors():
    rolled = random.Random(7)
    word = lambda letters, low, high: "".join(rolled.choices(letters, k=rolled.randint(low, high)))
    lower = "abcdefghijklmnopqrstuvwxyz0123456789"
    found = []
    for _ in range(VECTORS):
        account, container, policy = word(lower, 3, 24), word(lower + "-", 3, 63), word(lower + "-ABCDEF_. ", 1, 64)
        folders = [word(lower + "-_.ÄBCé ", 1, 12).strip(" .") or "x" for _ in range(rolled.randint(1, 4))]
        directory = "/".join(folders) if rolled.random() < 0.5 else None
        key = base64.b64encode(rolled.randbytes(64)).decode()
        is_https = rolled.random() < 0.5
        signer = BlobSharedAccessSignature(account, key)
        signer.x_ms_version = VERSION
        args = {"policy_id": policy, "protocol": "https" if is_https else None}
        if directory:
            sas = signer.generate_blob(container, directory, is_directory=True, **args)
        else:
            sas = signer.generate_container(container, **args)
        found.append({"account": account, "container": container, "directory": directory, "policy": policy, "key": key, "https": is_https, "sas": sas})
    print("[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in found) + "\n]")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["container", "sas", "get", "delete", "policies", "policy", "vectors"])
    parser.add_argument("--url")
    parser.add_argument("--name")
    parser.add_argument("--container")
    parser.add_argument("--to", type=Path)
    parser.add_argument("--days", type=float, default=400)
    parser.add_argument("--public", action="store_true")
    args = parser.parse_args()
    if args.verb == "vectors":
        vectors()
        return
    if args.verb in ("policies", "policy"):
        container = BlobServiceClient(args.url, credential=KEY).get_container_client(args.container)
        found = container.get_container_access_policy()
        known = {one.id: one.access_policy for one in found["signed_identifiers"]}
        if args.verb == "policy":
            until = datetime.now(timezone.utc) + timedelta(days=args.days)
            known[args.name] = AccessPolicy(permission="rwdl", start=datetime(2020, 1, 1, tzinfo=timezone.utc), expiry=until)
            container.set_container_access_policy(known, public_access="blob" if args.public else None)
            return
        shown = {name: [str(policy.permission), str(policy.start), str(policy.expiry)] for name, policy in known.items()}
        print(json.dumps({"public": found["public_access"], "policies": shown}))
        return
    if args.verb == "container":
        BlobServiceClient(args.url, credential=KEY).create_container(args.name)
        return
    if args.verb == "delete":
        BlobServiceClient(args.url, credential=KEY).get_container_client(args.container).delete_blob(args.name)
        return
    if args.verb == "get":
        container = BlobServiceClient(args.url, credential=KEY).get_container_client(args.container)
        for name in container.list_blob_names():
            file = args.to / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(container.download_blob(name).readall())
        return
    expiry = datetime.now(timezone.utc) + timedelta(hours=1)
    print(generate_container_sas(ACCOUNT, args.container, KEY, permission=ContainerSasPermissions(read=True), expiry=expiry))


if __name__ == "__main__":
    main()
