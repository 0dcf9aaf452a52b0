# Debian's Prometheus, Pushgateway and postgres_exporter, for test/e2e/schedule.test.ts. BASE is any image of Debian or Ubuntu.
ARG BASE
FROM ${BASE}
USER root
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends prometheus prometheus-postgres-exporter prometheus-pushgateway \
    && rm -rf /var/lib/apt/lists/*
USER 65534:65534
ENTRYPOINT ["/usr/bin/prometheus-postgres-exporter"]
CMD []
