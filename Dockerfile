# syntax=docker/dockerfile:1
# Two stages: a build with cargo, and an image that holds the binary and the certificates of public authorities, nothing
# else: no shell, no package manager, not root.

FROM rust:1.95-slim-bookworm AS build
# SQLite, zstd and ring have C parts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies alone first: they change rarely, and this layer is kept as long as the lock file is.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -rf src
COPY src src
# Compiled in: what is known of OAuth2 providers.
COPY config/providers.yaml config/
# Cargo compares times, and a copied file may be older than the empty one it replaces.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked \
    && mkdir -p /rootfs/state /rootfs/tmp

# Debian's C library, certificates and time zones, and nothing to run but haul.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/haul /usr/local/bin/haul
# Both may be replaced by volumes; the root file system can be read-only (`--read-only --tmpfs /tmp`).
COPY --from=build --chown=65532:65532 --chmod=0700 /rootfs/state /state
# A folder inside: haul makes it private, whatever mode the volume comes with.
ENV HAUL_STATE=/state/haul HAUL_LOCAL=/state/haul TMPDIR=/tmp
VOLUME ["/state", "/tmp"]
USER 65532:65532
WORKDIR /jobs
ENTRYPOINT ["/usr/local/bin/haul"]
CMD ["--help"]
