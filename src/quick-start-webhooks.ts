import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';

/** Where webhooks of a quick start may go beside the internet: this machine, on which its receivers are developed. */
const loopback = ['127.0.0.0/8', '::1/128'];

/** The file in which the quick start keeps the key of webhook secrets. */
export function encryptionKeyFile(dataDirectory: string): string {
  return join(dataDirectory, 'encryption.key');
}

/** The key that a quick start of this data folder has made; none where there was none. */
export async function readQuickStartKeys(dataDirectory: string): Promise<Buffer[]> {
  const text = await readFile(encryptionKeyFile(dataDirectory), 'utf8').catch(() => '');
  return text === '' ? [] : [Buffer.from(text, 'base64')];
}

/** What a quick start has of webhooks where the environment does not say: a key, made once, and loopback. */
export async function withQuickStartWebhooks(config: Config): Promise<Config> {
  const { webhooks, dataDirectory } = config;
  const allowCidrs = webhooks.allowCidrs.length > 0 ? webhooks.allowCidrs : loopback;
  let { encryptionKeys } = webhooks;
  if (encryptionKeys.length === 0) {
    await makeKey(dataDirectory);
    encryptionKeys = await readQuickStartKeys(dataDirectory);
  }
  return { ...config, webhooks: { ...webhooks, allowCidrs, encryptionKeys } };
}

/** Whole, and never a second one, whoever starts at the same time. */
async function makeKey(dataDirectory: string): Promise<void> {
  const path = encryptionKeyFile(dataDirectory);
  const partial = `${path}.${process.pid}`;
  await mkdir(dataDirectory, { recursive: true });
  await writeFile(partial, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  await link(partial, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(partial);
}
