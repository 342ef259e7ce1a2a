# The MCP server over standard input and output. Any other command can replace `mcp`.
FROM python:3.13-slim
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY skill skill
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
USER nobody
ENTRYPOINT ["cancel-message-batch"]
CMD ["mcp"]
