import type { Statement } from '../../database/statements.ts';

/** The name of a ciphertext's key, as `encryption.ts` writes it. */
const keyNameOf = (ciphertext: string) => `substring(${ciphertext} from 2 for 4)`;
/** Secrets whose overlap is over are never read again. */
const isLive = '(secrets.expires_at is null or secrets.expires_at > clock_timestamp())';

/** Endpoints after an id with anything that is not by a key; locked, as whoever changes them does. */
export const lockOutdatedStatement: Statement = {
  name: 'harbor_webhooks_lock_outdated',
  text: `
    select endpoints.id, endpoints.headers from webhook_endpoints endpoints
    where endpoints.id > $1::uuid and endpoints.deleted_at is null
      and (${keyNameOf('endpoints.headers')} <> $2::bytea or exists (
        select from webhook_secrets secrets where secrets.endpoint_id = endpoints.id and ${isLive}
          and ${keyNameOf('secrets.ciphertext')} <> $2::bytea))
    order by endpoints.id limit $3::int
    for no key update of endpoints`,
};

export const readSecretsStatement: Statement = {
  name: 'harbor_webhooks_read_outdated_secrets',
  text: `
    select id, ciphertext from webhook_secrets secrets
    where endpoint_id = any($1::uuid[]) and ${isLive} and ${keyNameOf('ciphertext')} <> $2::bytea`,
};

export const writeSecretsStatement: Statement = {
  name: 'harbor_webhooks_write_secrets',
  text: `
    update webhook_secrets set ciphertext = written.ciphertext
    from unnest($1::uuid[], $2::bytea[]) as written (id, ciphertext) where webhook_secrets.id = written.id`,
};

export const writeHeadersStatement: Statement = {
  name: 'harbor_webhooks_write_headers',
  text: `
    update webhook_endpoints set headers = written.headers
    from unnest($1::uuid[], $2::bytea[]) as written (id, headers) where webhook_endpoints.id = written.id`,
};

/** Whoever sends to them has them by the old key, which it may lack. */
export const touchStatement: Statement = {
  name: 'harbor_webhooks_touch_reencrypted',
  text: 'update webhook_endpoints set touched_at = clock_timestamp() where id = any($1::uuid[])',
};

export const countByKeyStatement: Statement = {
  name: 'harbor_webhooks_count_by_key',
  text: `
    select encode(key_name, 'hex') as key_name, count(*)::int as count from (
      select ${keyNameOf('ciphertext')} as key_name from webhook_secrets secrets where ${isLive}
      union all
      select ${keyNameOf('headers')} from webhook_endpoints where headers is not null and deleted_at is null
    ) as ciphertexts group by key_name`,
};
