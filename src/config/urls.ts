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
}

/**
 * Checks that it is a URL at all and gives it back as it was written: drivers read what they need from the text.
 * Throws `config-invalid`, without any secret of the URL; `example` says what would be right.
 */
export function parseUrl(text: string, example: string, options: UrlOptions = {}): string {
  const url = (options.bareWords === true ? bareWords.get(text) : undefined) ?? text;
  const open = withoutSecrets(text);
  const shown = options.secretPath === true ? open.replace(/^([^/]*\/\/)?([^/]*)\/.*/s, "$1$2/…") : open;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: new URL() would drop them without a word
  if (/[\s\u0000-\u001f\u007f]/.test(url)) {
    throw invalid(`"${shown}" holds a blank`, "write blanks in a URL as %20");
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url) || !URL.canParse(url)) {
    throw invalid(`"${shown}" is not a URL`, `write for example ${example}`);
  }
  return url;
}

/** A URL for a message: no user, no password, nothing of the query. Rather too little than too much. */
export function withoutSecrets(text: string): string {
  return text.replace(/^([^/@]*\/\/)?.*@/s, "$1***@").replace(/[?#].*/s, "?…");
}
