import type { AnyDesc, DescFile } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { createEcmaScriptPlugin, getComments, runNodeJs } from '@bufbuild/protoplugin';

/**
 * Writes the comments of our own part of the contract down by full name, so that `openapi.json` can tell them:
 * descriptors carry everything else, but at run time no comments.
 */
const plugin = createEcmaScriptPlugin({
  name: 'protoc-gen-comments',
  version: 'v1',
  generateTs(schema) {
    const ours = schema.files.filter(({ proto }) => proto.package.startsWith('harbor.'));
    // Each input of buf.gen.yaml is a run of its own.
    if (ours.length === 0) return;
    const file = schema.generateFile('comments.ts');
    file.print('// Generated from proto/ by generate/protoc-gen-comments.ts. Never edited.');
    file.print();
    file.print('/** What the contract says of its elements, by their full names, in Markdown. */');
    file.print('export const comments: Readonly<Record<string, string>> = {');
    for (const [name, comment] of ours.flatMap(commentsOf)) {
      file.print('  ', JSON.stringify(name), ': ', JSON.stringify(comment), ',');
    }
    file.print('};');
  },
});

type Commented = Exclude<AnyDesc, DescFile>;

function commentsOf(file: DescFile): [name: string, comment: string][] {
  const told: [string, string][] = [];
  const tell = (name: string, desc: Commented) => {
    const { leading } = getComments(desc);
    if (leading !== undefined) told.push([name, toMarkdown(leading)]);
  };
  for (const type of nestedTypes(file)) {
    tell(type.typeName, type);
    const members =
      type.kind === 'message' ? type.fields : type.kind === 'service' ? type.methods : [];
    for (const member of members) tell(`${type.typeName}.${member.name}`, member);
  }
  return told;
}

/** A paragraph is one line; the source breaks its lines where they are full. */
function toMarkdown(comment: string): string {
  const paragraphs = comment.trim().split(/\n\s*\n/);
  return paragraphs.map((one) => one.replaceAll(/\s*\n\s*/g, ' ').trim()).join('\n\n');
}

runNodeJs(plugin);
