"""Azure Blob containers and SAS tokens by Microsoft's own library, for the emulator.

    blob.py container --url URL --name NAME [--ca FILE]
    blob.py sas --url URL --container NAME      prints a read-only SAS of the container
                [--permission rwdl] [--hours N] [--from-hours N] [--policy ID] [--account]      other ones; --account: of the whole account
    blob.py put --url URL --container NAME --name BLOB --from FILE
    blob.py remove --url URL --container NAME --name BLOB
    blob.py get --url URL --container NAME --to FOLDER      copies every blob below the folder
    blob.py policies --url URL --container NAME             prints the stored access policies and who may read without any
    blob.py policy --url URL --container NAME --name ID [--days N | --seconds N] [--permission RWDL] [--public]
                                                            adds or changes a stored access policy; --public opens the container to
                                                            everybody
    blob.py vectors                                         prints random inputs of a SAS bound to a policy with what comes of them
    blob.py delegated                                       the same of SAS by a user delegation key; by azure-storage-blob 12.19, whose
                                                            version of the service is the one that haul signs for
    blob.py try --url URL --container NAME --prefix PREFIX --sas SAS [--ca FILE]
                                                            prints what may be done with a SAS: read, list, write, delete
"""

import argparse
import base64
import json
import random
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccessPolicy,
    AccountSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    ResourceTypes,
    UserDelegationKey,
    generate_account_sas,
    generate_container_sas,
)
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


def delegated():
    rolled = random.Random(11)
    word = lambda letters, low, high: "".join(rolled.choices(letters, k=rolled.randint(low, high)))
    lower = "abcdefghijklmnopqrstuvwxyz0123456789"
    guid = lambda: str(uuid.UUID(int=rolled.getrandbits(128)))
    found = []
    for _ in range(VECTORS):
        account, container = word(lower, 3, 24), word(lower + "-", 3, 63)
        folders = [word(lower + "-_.ÄBCé ", 1, 12).strip(" .") or "x" for _ in range(rolled.randint(1, 4))]
        directory = "/".join(folders) if rolled.random() < 0.5 else None
        start = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=rolled.randint(0, 10**8))
        end = start + timedelta(seconds=rolled.randint(60, 7 * 86_400))
        spelled = lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")
        key = UserDelegationKey()
        key.signed_oid, key.signed_tid, key.signed_service, key.signed_version = guid(), guid(), "b", VERSION
        key.signed_start, key.signed_expiry = spelled(start), spelled(end)
        key.value = base64.b64encode(rolled.randbytes(32)).decode()
        permissions, is_https = rolled.choice(["r", "rl"]), rolled.random() < 0.5
        signer = BlobSharedAccessSignature(account, user_delegation_key=key)
        assert signer.x_ms_version == VERSION, f"this library signs for {signer.x_ms_version}"
        args = {"permission": permissions, "expiry": spelled(end), "protocol": "https" if is_https else None}
        if directory:
            sas = signer.generate_blob(container, directory, is_directory=True, **args)
        else:
            sas = signer.generate_container(container, **args)
        named = {"SignedOid": key.signed_oid, "SignedTid": key.signed_tid, "SignedStart": key.signed_start, "SignedExpiry": key.signed_expiry,
                 "SignedService": key.signed_service, "SignedVersion": key.signed_version, "Value": key.value}
        answer = "".join(f"<{name}>{value}</{name}>" for name, value in named.items())
        answer = f'<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>{answer}</UserDelegationKey>'
        found.append({"account": account, "container": container, "directory": directory, "answer": answer, "permissions": permissions,
                      "end": spelled(end), "https": is_https, "sas": sas})
    print("[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in found) + "\n]")


def tried(args):
    """What Microsoft's own library may do with nothing but a SAS."""
    options = {"connection_verify": args.ca} if args.ca else {}
    container = BlobServiceClient(args.url, credential=args.sas, retry_total=0, **options).get_container_client(args.container)
    pointer = f"{args.prefix}/_latest.json"

    def outcome(work):
        try:
            work()
            return "done"
        except HttpResponseError as error:
            code = error.error_code or error.status_code
            return str(getattr(code, "value", code))

    print(json.dumps({
        "read": outcome(lambda: container.download_blob(pointer).readall()),
        "list": outcome(lambda: list(container.list_blobs(name_starts_with=args.prefix))),
        "write": outcome(lambda: container.upload_blob(f"{args.prefix}/written", b"x")),
        "overwrite": outcome(lambda: container.upload_blob(pointer, b"x", overwrite=True)),
        "delete": outcome(lambda: container.delete_blob(pointer)),
        "policies": outcome(container.get_container_access_policy),
    }))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = ["container", "sas", "get", "put", "remove", "policies", "policy", "vectors", "delegated", "try"]
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("--url")
    parser.add_argument("--name")
    parser.add_argument("--container")
    parser.add_argument("--to", type=Path)
    parser.add_argument("--days", type=float, default=400)
    parser.add_argument("--permission")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--public", action="store_true")
    parser.add_argument("--prefix")
    parser.add_argument("--sas")
    parser.add_argument("--ca")
    parser.add_argument("--hours", type=float, default=1)
    parser.add_argument("--from-hours", type=float)
    parser.add_argument("--policy")
    parser.add_argument("--account", action="store_true")
    parser.add_argument("--from", dest="source", type=Path)
    args = parser.parse_args()
    if args.verb in ("vectors", "delegated"):
        {"vectors": vectors, "delegated": delegated}[args.verb]()
        return
    if args.verb == "try":
        tried(args)
        return
    if args.verb in ("policies", "policy"):
        container = BlobServiceClient(args.url, credential=KEY).get_container_client(args.container)
        found = container.get_container_access_policy()
        known = {one.id: one.access_policy for one in found["signed_identifiers"]}
        if args.verb == "policy":
            left = timedelta(days=args.days) if args.seconds is None else timedelta(seconds=args.seconds)
            # Others give a start; haul gives none.
            start = None if args.name.startswith("haul-") else datetime(2020, 1, 1, tzinfo=timezone.utc)
            may = args.permission or ("rwdl" if start else "r")
            known[args.name] = AccessPolicy(permission=may, start=start, expiry=datetime.now(timezone.utc) + left)
            container.set_container_access_policy(known, public_access="blob" if args.public else None)
            return
        shown = {name: [str(policy.permission), str(policy.start), str(policy.expiry)] for name, policy in known.items()}
        print(json.dumps({"public": found["public_access"], "policies": shown}))
        return
    if args.verb == "container":
        options = {"connection_verify": args.ca} if args.ca else {}
        BlobServiceClient(args.url, credential=KEY, **options).create_container(args.name)
        return
    if args.verb == "get":
        container = BlobServiceClient(args.url, credential=KEY).get_container_client(args.container)
        for name in container.list_blob_names():
            file = args.to / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(container.download_blob(name).readall())
        return
    if args.verb in ("put", "remove"):
        blob = BlobServiceClient(args.url, credential=KEY).get_blob_client(args.container, args.name)
        if args.verb == "put":
            blob.upload_blob(args.source.read_bytes(), overwrite=True)
        else:
            blob.delete_blob()
        return
    now = datetime.now(timezone.utc)
    expiry, letters = now + timedelta(hours=args.hours), args.permission or "r"
    start = None if args.from_hours is None else now + timedelta(hours=args.from_hours)
    if args.account:
        types, permission = ResourceTypes(container=True, object=True), AccountSasPermissions.from_string(letters)
        print(generate_account_sas(ACCOUNT, KEY, types, permission, expiry, start=start))
    elif args.policy:
        print(generate_container_sas(ACCOUNT, args.container, KEY, policy_id=args.policy))
    else:
        permission = ContainerSasPermissions.from_string(letters)
        print(generate_container_sas(ACCOUNT, args.container, KEY, permission=permission, expiry=expiry, start=start))


if __name__ == "__main__":
    main()
