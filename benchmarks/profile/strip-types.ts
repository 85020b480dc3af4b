import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';

const IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)'(\.{1,2}\/[^']+)\.ts'/g;

/**
 * Writes a module and all that it imports by a relative path as JavaScript, for a Node that strips no types.
 * @param root folder that all of them lie in @param into where they go, in the same tree
 * @returns the module's path there
 */
export function writeJavaScript(entry: string, root: string, into: string): string {
  const target = (path: string): string => join(into, relative(root, path)).replace(/\.ts$/, '.js');
  const done = new Set<string>();
  const write = (path: string): void => {
    if (done.has(path) || !existsSync(path)) return;
    done.add(path);
    const code = stripTypeScriptTypes(readFileSync(path, 'utf8'));
    for (const [, , module] of code.matchAll(IMPORT)) write(join(dirname(path), `${module}.ts`));
    mkdirSync(dirname(target(path)), { recursive: true });
    writeFileSync(target(path), code.replace(IMPORT, "$1'$2.js'"));
  };
  write(entry);
  writeFileSync(join(into, 'package.json'), '{"type":"module"}\n');
  return target(entry);
}
