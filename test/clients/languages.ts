import { hasCommand } from '../toolchains/run-command.ts';

/** A section of the page, and what it takes to run it. */
export interface Language {
  /** The heading of its section. */
  readonly name: string;
  /** Commands that answer where its tools are at hand. */
  readonly needs: readonly (readonly [command: string, ...args: string[]])[];
  /** How many of its blocks are programs, which print what the page says. */
  readonly programs: number;
  /** What else its blocks print. */
  readonly prints?: readonly RegExp[];
}

export const languages: readonly Language[] = [
  { name: 'Go', needs: [['go', 'version']], programs: 2 },
  { name: 'Python', needs: [['python3', '-c', 'import ensurepip, venv']], programs: 1 },
  {
    name: 'Java',
    needs: [
      ['javac', '--release', '17', '-version'],
      ['mvn', '--version'],
    ],
    programs: 1,
  },
  {
    name: 'Rust',
    needs: [
      ['cargo', '--version'],
      ['cc', '--version'],
    ],
    programs: 1,
  },
  {
    name: 'grpcurl and ghz',
    needs: [['go', 'version']],
    programs: 0,
    prints: [
      /^harbor\.events\.v1\.EventsService$/m,
      /string idempotency_key = 4/,
      /"sequence": "1"/,
      // buf curl, which finds a workspace without events.
      /"firstSequence": "1"/,
      /\[OK\]\s+200 responses/,
    ],
  },
];

/** The commands that are missing for it. */
export async function missingFor({ needs }: Language): Promise<string[]> {
  const answers = await Promise.all(
    needs.map(async ([command, ...args]) => ({
      command,
      here: await hasCommand(command, ...args),
    })),
  );
  return answers.filter(({ here }) => !here).map(({ command }) => command);
}
