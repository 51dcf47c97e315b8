export {
  type EmbeddedPostgres,
  EmbeddedPostgresError,
  startEmbeddedPostgres,
} from './embedded-postgres.ts';
export { findFreePort } from './free-port.ts';
export {
  type KeptPostgres,
  type KeptPostgresEvents,
  keepEmbeddedPostgres,
} from './kept-postgres.ts';
