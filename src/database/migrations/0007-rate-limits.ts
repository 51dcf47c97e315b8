import { type Migration, statements } from './migration.ts';

const columns = `
        add column creates_per_second integer null,
        add column create_bytes_per_second integer null,
        add column burst_seconds integer null,
        add column streams_max integer null`;

/** What an API key, and what a workspace, may take. Earlier programs know no limits, and go on. */
export const rateLimits: Migration = {
  name: '0007-rate-limits',
  worksFrom: '0001-events',
  steps: [
    statements('api keys', `alter table api_keys ${columns}`),
    statements('workspaces', `alter table workspaces ${columns}`),
  ],
};
