import { commandLines, readPage } from "./docs-pages.ts";

/** Where a page has dewy's releases; OWNER is the reader's to fill in. */
const releases = "https://github.com/OWNER/dewy/releases";

/** A page's blocks for installing dewy, as scripts that take it from `url`. */
export function installScripts(path: string, url: string): string[] {
  const marked = readPage(path).blocks.filter(({ mark }) => mark?.kind === "test" && mark.text === "install");
  const scripts = marked.map((block) => commandLines(block).join("\n"));
  const other = scripts.find((script) => !script.includes(releases));
  if (scripts.length === 0 || other !== undefined)
    throw new Error(`${path} does not install dewy from ${releases}: ${other}`);
  return scripts.map((script) => script.replaceAll(releases, url));
}
