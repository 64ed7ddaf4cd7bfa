# syntax=docker/dockerfile:1
# Two stages: a build with cargo, and an image that holds the binary and the certificates of public authorities, nothing
# else: no shell, no package manager, not root. docs/DEPLOYING.md says how to build, run and verify it.
#
# The tags name versions, not bytes: who needs the same bytes again names both images by digest (`rust@sha256:…`). What
# cargo builds is fixed by Cargo.lock; nothing is installed from a distribution.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# The dependencies alone first: they change rarely, and this layer is kept as long as the lock file is. The C parts of SQLite,
# zstd and ring need the compiler that the image brings, no make and no cmake.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -rf src
# What is compiled in besides the sources; a test compares these lines with what the sources include.
COPY config/providers.yaml config/job.schema.json config/
COPY jobs/business-central.yaml jobs/exact-online.yaml jobs/github.yaml jobs/hubspot.yaml \
     jobs/odata-oauth2.yaml jobs/rest-next-link.yaml jobs/shopify.yaml jobs/stripe.yaml jobs/
COPY src src
# Cargo compares times, and a copied file may be older than the empty one it replaces.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked \
    && mkdir -p /rootfs/state /rootfs/jobs

# Debian's C library, certificates and time zones, and nothing to run but haul.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="haul" \
      org.opencontainers.image.description="Scheduled extractor: REST, OData and GraphQL into typed Parquet and CSV" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /build/target/release/haul /usr/local/bin/haul
# Mounts may replace them; the root file system can be read-only (`--read-only --tmpfs /tmp`).
COPY --from=build --chown=65532:65532 --chmod=0700 /rootfs/state /state
COPY --from=build /rootfs/jobs /jobs
# A folder inside: haul makes it private, whatever mode the volume comes with.
ENV HAUL_STATE=/state/haul HAUL_LOCAL=/state/haul TMPDIR=/tmp
VOLUME ["/state", "/tmp"]
USER 65532:65532
WORKDIR /jobs
# The daemon's health and metrics; a job that runs once opens no port.
EXPOSE 8733
# haul ends within 25 s of it, with everything kept that was read.
STOPSIGNAL SIGTERM
# No HEALTHCHECK: it would need a program to ask with, and there is none but haul. Who runs the image asks /healthz.
ENTRYPOINT ["/usr/local/bin/haul"]
CMD ["--help"]
