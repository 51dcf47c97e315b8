# The packages that the service needs to run, without those that build and test it. No script runs: the
# SDK is not built here, and no package needs its own.
FROM node:24.21.0-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY sdk/package.json sdk/
RUN npm ci --omit=dev --ignore-scripts

# Node runs the TypeScript as it is: there is nothing to build.
FROM node:24.21.0-slim
# The young of the heap takes 48 MB at the most, as it did before Node 24, in place of 192.
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=16 HOST=0.0.0.0 PORT=8080
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY gen/typescript gen/typescript
# The CLI speaks to the service through the SDK's sources.
COPY sdk/src sdk/src
COPY src src
USER node
EXPOSE 8080
# Whether the process lives: whoever acts on it ends the container. /readyz is for what sends calls.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const { PORT, TLS_CERT_FILE } = process.env; process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch(`http${TLS_CERT_FILE ? 's' : ''}://127.0.0.1:${PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# DATABASE_URL is needed: the PostgreSQL of the quick start is not in this image, nor is a second Node.
CMD ["node", "src/harbor.js", "serve"]
