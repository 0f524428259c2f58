FROM node:20.20.2-bookworm-slim

ENV NODE_ENV=production
WORKDIR /app

# The engines run beside this container (docker-compose.yml): the embedded ClickHouse, half a gigabyte, stays out.
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund \
    && rm -rf node_modules/@chdb \
    && npm cache clean --force \
    && install -d -o node -g node /data

COPY tsconfig.json ./
COPY migrations ./migrations
COPY clickhouse ./clickhouse
COPY src ./src

USER node
ENV HOST=0.0.0.0 PORT=4000 DATA_DIR=/data
VOLUME /data
EXPOSE 4000

# Not through npm: the signals must reach Tidemark itself.
CMD ["node", "--max-semi-space-size=64", "--import", "tsx", "src/main.ts"]
