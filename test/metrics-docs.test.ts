import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEventsClient } from './support/clients.ts';
import { type ReadMetrics, readMetrics } from './support/metrics.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

const readDoc = (name: string) => readFile(resolve(import.meta.dirname, '../docs', name), 'utf8');

/** A service that has done a little of everything, so that there is a series of each name. */
let service: WebhookService;
let metrics: ReadMetrics;
beforeAll(async () => {
  service = await startWebhookService({}, undefined, { metrics: { host: '127.0.0.1', port: 0 } });
  const { workspaceId } = service;
  await service.makeEndpoint('/hooks');
  const events = createEventsClient(service);
  await events.createEvent({ workspaceId, type: 'told', payload: {} });
  await expect(events.retrieveEvent({ id: '' })).rejects.toThrow();
  await vi.waitFor(async () => {
    metrics = await readMetrics(service);
    expect(metrics.value('harbor_webhook_requests_total', { outcome: 'succeeded' })).toBe(1);
  }, 20_000);
});
afterAll(() => service.stop());

/** As the page names them: a histogram is one. */
const baseOf = (name: string) => name.replace(/_(?:bucket|sum|count)$/, '');
const namesIn = (text: string) => new Set(text.match(/\b(?:harbor|process|nodejs)_\w+/g));
const exported = () => [...metrics.names].map(baseOf);

interface Rule {
  readonly name: string;
  readonly expr: string;
  readonly text: string;
}

/** The rules of alerts.yaml, each from its `- alert:` to the next one. */
async function readRules(): Promise<Rule[]> {
  const [, ...blocks] = (await readDoc('alerts.yaml')).split(/^ +- alert: /m);
  return blocks.map((text) => ({
    name: text.split('\n', 1)[0] ?? '',
    expr: /^ +expr: (?:>-\n)?([\s\S]*?)^ +(?:for|labels):/m.exec(text)?.[1] ?? '',
    text,
  }));
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

async function readPanels(): Promise<Panel[]> {
  const { panels } = JSON.parse(await readDoc('dashboard.json')) as { panels: Panel[] };
  return panels.filter(({ type }) => type !== 'row');
}

/** What an expression asks of names and labels that no process has. */
function strayIn(expr: string): string[] {
  const selectors = expr.matchAll(/\b((?:harbor|process|nodejs)_\w+)(?:\{([^}]*)\})?/g);
  return [...selectors].flatMap(([, name = '', matchers = '']) => {
    const labels = metrics.labelsOf.get(name);
    if (labels === undefined) return [name];
    const asked = [...matchers.matchAll(/(\w+) *(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
    // Those that Prometheus adds.
    const known = new Set([...labels, 'job', 'instance']);
    return asked.filter((label) => !known.has(label)).map((label) => `${name}{${label}}`);
  });
}

test('the page lists every name that a process exports, and no other', async () => {
  const page = await readDoc('metrics.md');
  const listed = [...page.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [
    ...namesIn(cell),
  ]);
  expect([...new Set(listed)].sort()).toEqual([...new Set(exported())].sort());
  expect(new Set(listed).size).toBe(listed.length);
});

test('every name has its help, and a unit or a count where Prometheus wants it', () => {
  const helps = [...metrics.text.matchAll(/^# HELP (\w+) (.+)$/gm)].map(([, name]) => name ?? '');
  expect(helps).toEqual(expect.arrayContaining([...new Set(exported())]));
  const types = [...metrics.text.matchAll(/^# TYPE (harbor_\w+) (\w+)$/gm)];
  for (const [, name = '', type] of types) {
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    expect(name).not.toMatch(/_ms|_millis|_kb|_mb/);
  }
});

test('the dashboard shows nothing that no process exports', async () => {
  const panels = await readPanels();
  expect(panels.length).toBeGreaterThan(20);
  const strays = panels.flatMap(({ title, targets = [] }) =>
    targets.flatMap(({ expr }) => strayIn(expr)).map((stray) => `${title}: ${stray}`),
  );
  expect(strays).toEqual([]);
});

test('the dashboard leaves out nothing of the service itself', async () => {
  const shown = (await readPanels())
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .flatMap((expr) => [...namesIn(expr)].map(baseOf));
  const own = exported().filter((name) => name.startsWith('harbor_'));
  const missing = own.filter((name) => !shown.includes(name));
  expect([...new Set(missing)]).toEqual([]);
});

test('alerts ask for nothing that no process exports, and each says what to do', async () => {
  const rules = await readRules();
  expect(rules.length).toBeGreaterThan(10);
  for (const { name, expr, text } of rules) {
    expect([name, expr.trim()]).not.toEqual([name, '']);
    expect([name, ...strayIn(expr)]).toEqual([name]);
    expect([name, text]).toEqual([
      name,
      expect.stringMatching(/severity: (?:page|ticket)[\s\S]*summary: [\s\S]*runbook: >-\n +\S/),
    ]);
  }
  expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length);
});

test('what a runbook names is there: metrics, variables and commands', async () => {
  const text = (await readRules()).map((rule) => rule.text).join('\n');
  const unknown = [...namesIn(text)].filter((name) => !exported().includes(baseOf(name)));
  expect(unknown).toEqual([]);
  const page = await readDoc('running-in-production.md');
  const variables = new Set(text.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g));
  for (const variable of variables) expect(page).toContain(`\`${variable}`);
});
