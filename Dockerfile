FROM python:3.11-slim
WORKDIR /forestall
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY sdk sdk
COPY models models
COPY connectors connectors
COPY streams streams
COPY experiments experiments
COPY infra infra
RUN pip install --no-cache-dir -c constraints.txt ./sdk ".[web,influx]" \
    && useradd --create-home forestall && mkdir -p /var/lib/forestall/keys /var/lib/forestall/trusted /var/lib/forestall/influx /var/lib/forestall/outbox \
    && chown -R forestall /var/lib/forestall
USER forestall
VOLUME /var/lib/forestall
ENV FORESTALL_AGENT__DIRECTORY=/var/lib/forestall
ENTRYPOINT ["forestall"]
CMD ["--help"]
