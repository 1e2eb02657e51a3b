import { invalid } from "./problem.ts";

/** Schemes that say enough without anything behind them. */
const bareWords = new Map([
  ["file", "file://"],
  ["memory", "memory://"],
]);

interface UrlOptions {
  /** Takes `file` for `file://` and `memory` for `memory://`. */
  readonly bareWords?: boolean;
  /** The path may be a secret too, as a chat's web hook is. */
  readonly secretPath?: boolean;
  /** Scheme → what would be right for it. */
  readonly examples?: Readonly<Record<string, string>>;
}

/**
 * Checks that it is a URL at all and gives it back as it was written: drivers read what they need from the text.
 * Throws `config-invalid`, without any secret of the URL; `example` says what would be right.
 */
export function parseUrl(text: string, example: string, options: UrlOptions = {}): string {
  const url = (options.bareWords === true ? bareWords.get(text) : undefined) ?? text;
  const open = withoutSecrets(text);
  const shown = options.secretPath === true ? withoutPath(open) : open;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: new URL() would drop them without a word
  if (/[\s\u0000-\u001f\u007f]/.test(url)) {
    throw invalid(`"${shown}" holds a blank`, "write blanks in a URL as %20");
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url) || !URL.canParse(url)) {
    // Somebody who forgot the colon means the scheme all the same.
    const scheme = /^[a-z][a-z0-9+.-]*(?=:|\/\/)/i.exec(text)?.[0].toLowerCase() ?? "";
    const { examples = {} } = options;
    const fitting = Object.hasOwn(examples, scheme) ? examples[scheme] : example;
    throw invalid(`"${shown}" is not a URL`, `write for example ${fitting}`);
  }
  return url;
}

/** A URL for a message: no user, no password, nothing of the query. Rather too little than too much. */
export function withoutSecrets(text: string): string {
  // In a mail URL the @ is a recipient's where a server stands before the path.
  const mail = /^(?:smtps?|mail):\/\/(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d*)?(?=\/)/i.exec(text)?.[0];
  if (mail !== undefined) return `${mail}/…`;
  const open = text.replace(/^([^/@]*\/\/)?.*@/s, "$1***@").replace(/[?#].*/s, "?…");
  return open.replace(/\b(?:xox[a-z]|xapp|xwfp)[.-].*/is, "***");
}

function withoutPath(text: string): string {
  const [, place = "", path = ""] = /^([^/]*(?:\/\/[^/]*)?)(.*)$/s.exec(text) ?? [];
  return path === "" ? place : `${place}/…`;
}
