import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  /** Of its first fence, from 1. */
  readonly line: number;
  /** The headings above it, the innermost last, without marks. */
  readonly heading: string;
  readonly language: string;
  readonly text: string;
  /** `<!-- illustration: why -->` or `<!-- test: name -->` among the comments right before it. */
  readonly mark: { readonly kind: "illustration" | "test"; readonly text: string } | null;
}

export interface Page {
  /** From the project's directory: `docs/faq.md`. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** Without blocks and comments. */
  readonly prose: string;
  /** As GitHub makes them of headings. */
  readonly anchors: ReadonlySet<string>;
}

const shells = ["sh", "console", "bash", "shell", "zsh"];

export function readPages(): readonly Page[] {
  const docs = readdirSync("docs").filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.sort().map((name) => `docs/${name}`)].map(readPage);
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(path, "utf8"));
}

export function parsePage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  const headings: string[] = [];
  const lines = text.split("\n");
  let heading = "";
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const fence = /^ *```(\w*)/.exec(line);
    const title = /^#{1,6} (.+)$/.exec(line)?.[1];
    if (title !== undefined) {
      heading = title;
      headings.push(title);
    }
    if (fence === null) {
      prose.push(line);
      continue;
    }
    const end = lines.findIndex((each, index) => index > at && /^ *```$/.test(each));
    if (end < 0) throw new Error(`${path}:${at + 1}: the block has no end`);
    const mark = markAbove(lines, at);
    const body = lines.slice(at + 1, end).join("\n");
    blocks.push({ page: path, line: at + 1, heading, language: fence[1] ?? "", text: body, mark });
    at = end;
  }
  const anchors = anchorsOf(headings);
  return { path, text, blocks, prose: prose.join("\n").replace(/<!--[\s\S]*?-->/g, ""), anchors };
}

export function isShell({ language }: Block): boolean {
  return shells.includes(language);
}

/** The command lines of a block, continued ones joined; of a screen, those behind its prompt. */
export function commandLines({ language, text }: Block): string[] {
  const lines = text.replace(/\\\n\s*/g, "").split("\n");
  if (language !== "console") return lines;
  return lines.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2));
}

/** What stands between single backquotes. */
export function codeSpans(prose: string): string[] {
  return [...prose.matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)].map((match) =>
    (match[1] ?? "").replace("\n", " "),
  );
}

/** Where the page's links lead within the project: a path from its directory, and an anchor. */
export function relativeLinks({ path, prose }: Page): { readonly to: string; readonly anchor: string }[] {
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = "", anchor = ""] = target.split("#");
      return { to: file === "" ? path : normalize(join(dirname(path), file)), anchor };
    });
}

function markAbove(lines: readonly string[], fence: number): Block["mark"] {
  const above = lines[fence - 1] ?? "";
  return markIn(above) ?? (/^ *<!-- .* -->$/.test(above) ? markAbove(lines, fence - 1) : null);
}

function markIn(line: string): Block["mark"] {
  const [, kind, text = ""] = /^ *<!-- (illustration|test): (.+) -->$/.exec(line) ?? [];
  return kind === "illustration" || kind === "test" ? { kind, text } : null;
}

function anchorsOf(headings: readonly string[]): Set<string> {
  const seen = new Map<string, number>();
  const anchors = headings.map((heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
      .replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
  return new Set(anchors);
}
