"""Azure Blob containers and SAS tokens by Microsoft's own library, for the emulator.

    blob.py container --url URL --name NAME
    blob.py sas --url URL --container NAME      prints a read-only SAS of the container
    blob.py get --url URL --container NAME --to FOLDER      copies every blob below the folder
"""

import argparse
from datetime import datetime, timedelta, timezone
from pathlib import Path

from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

# Published by Microsoft for the emulator; no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["container", "sas", "get"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--name")
    parser.add_argument("--container")
    parser.add_argument("--to", type=Path)
    args = parser.parse_args()
    if args.verb == "container":
        BlobServiceClient(args.url, credential=KEY).create_container(args.name)
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
