/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** The file that it is: the name in backticks, with a colon, at the end of the paragraph before. */
  readonly path: string | undefined;
}

/** The blocks of a page by the heading of their section; those before the first heading are of ''. */
export function readSections(markdown: string): Map<string, Block[]> {
  const sections = new Map<string, Block[]>();
  for (const section of `\n${markdown}`.split(/\n(?=## )/)) {
    const heading = /^## (.*)/.exec(section)?.[1] ?? '';
    const blocks = [...section.matchAll(/(\S*)\n\n```(\w+)\n(.*?)\n```/gs)].map(
      ([, before = '', language = '', text = '']) => ({
        language,
        text: `${text}\n`,
        path: /^`(.+)`:$/.exec(before)?.[1],
      }),
    );
    sections.set(heading, blocks);
  }
  return sections;
}
