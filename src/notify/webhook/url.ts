import { DewyError } from "../../errors.ts";
import { flag, type QuerySpec, type QueryValues, text } from "../../util/query.ts";
import { filterParams } from "../filter.ts";
import { isLoopback } from "../loopback.ts";

export const webhookFormats = ["json", "slack", "discord", "teams"] as const;
export type WebhookFormat = (typeof webhookFormats)[number];

/** What a web hook's URL says. */
export interface WebhookOptions {
  /** For logs: `webhook+https://host/…`, as path and query let whoever knows them in. */
  readonly name: string;
  /** The receiver's own URL, `https://…`. A secret. */
  readonly url: string;
  /** `host[:port]` */
  readonly host: string;
  readonly format: WebhookFormat;
  /** The key of the signature; null: none. */
  readonly key: string | null;
}

/** A web hook's URL, taken apart into what is dewy's and what is the receiver's. */
export interface WebhookUrl {
  /** For readQueries: holds dewy's own parameters, what nobody was named for, and nothing secret. */
  readonly settings: URL;
  /** `https://…` or `http://…`, as the receiver gave it out. A secret. */
  readonly target: URL;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Beside those of every notifier (`on`, `quiet`). */
export const webhookParams = {
  format: (value: string): WebhookFormat => {
    const found = webhookFormats.find((name) => name === value);
    if (found === undefined) throw new Error(`is "${value}"; write one of ${webhookFormats.join(", ")}`);
    return found;
  },
  insecure: flag,
  /** Read by splitWebhookUrl. */
  pass: text,
} satisfies QuerySpec;

type WebhookQuery = QueryValues<typeof webhookParams>;

/**
 * `webhook+https://host/path?on=&quiet=&format=&pass=`, `webhook+http://` for a receiver on this machine. The query is
 * dewy's, and a parameter that dewy does not know is an error, except for those that `pass=` names: they are the
 * receiver's and go to it untouched (`?key=K&token=T&pass=key,token`), even where dewy has one of the same name.
 * `pass=*` is all that dewy does not know. Throws `config-invalid`, without path and query.
 */
export function splitWebhookUrl(url: URL): WebhookUrl {
  const target = targetOf(url);
  const pairs = target.search
    .slice(1)
    .split("&")
    .filter((pair) => pair !== "");
  const passed = passedNames(pairs);
  const known = new Set(Object.keys({ ...filterParams, ...webhookParams }));
  const isTheirs = (pair: string) => {
    const name = nameOf(pair);
    return name !== "pass" && (passed.has(name) || (passed.has("*") && !known.has(name)));
  };
  refuseUnknown(pairs.filter((pair) => !isTheirs(pair) && !known.has(nameOf(pair))));
  const settings = new URL(`${url.protocol}//${target.host}`);
  settings.search = pairs.filter((pair) => !isTheirs(pair)).join("&");
  // By hand, as URLSearchParams would write the receiver's own differently.
  target.search = pairs.filter(isTheirs).join("&");
  return { settings, target };
}

/** `query`: what readQueries made of the settings. The key of the signature is DEWY_WEBHOOK_SECRET. */
export function readWebhookUrl(
  { target }: WebhookUrl,
  query: WebhookQuery,
  env: Environment,
): WebhookOptions {
  const plain = target.protocol === "http:";
  if (!plain && query.insecure !== null) {
    throw invalid("insecure= has no effect on webhook+https://", "leave it out");
  }
  if (plain && query.insecure !== true && !isLoopback(target.hostname)) {
    throw invalid(
      `webhook+http://${target.host}/… would send in clear over the network`,
      "write webhook+https://, or add insecure=true if everybody on the way may read along",
    );
  }
  return {
    name: `webhook+${target.protocol}//${target.host}/…`,
    url: target.href,
    host: target.host,
    format: query.format ?? "json",
    key: env["DEWY_WEBHOOK_SECRET"] || null,
  };
}

function targetOf(url: URL): URL {
  const target = URL.parse(url.href.replace(/^webhook\+/, ""));
  // The URL parser takes the path's beginning for the host of https:///path.
  if (target === null || url.hostname === "" || !/^https?:$/.test(target.protocol)) {
    throw invalid("the web hook's URL does not name a server", "write webhook+https://host/path");
  }
  if (target.username !== "" || target.password !== "") {
    throw invalid(
      "a web hook's URL takes no user before the host",
      "let the receiver check X-Dewy-Signature, or a token in the path or the query (pass=)",
    );
  }
  if (target.hash !== "") {
    throw invalid('the web hook\'s URL holds a "#"', "write # as %23, or leave it out: no server is sent it");
  }
  return target;
}

function passedNames(pairs: readonly string[]): ReadonlySet<string> {
  const given = pairs.filter((pair) => nameOf(pair) === "pass").map((pair) => textOf(pair));
  const names = new Set(given.flatMap((value) => value.split(",")).filter((name) => name !== ""));
  const present = new Set(pairs.map(nameOf));
  const missing = [...names].filter((name) => name !== "*" && !present.has(name));
  if (missing.length === 0) return names;
  throw invalid(
    `pass= names ${missing.map((name) => `"${name}"`).join(", ")}, which the URL does not hold`,
    "name parameters of the receiver's URL, separated by commas",
  );
}

function refuseUnknown(pairs: readonly string[]): void {
  if (pairs.length === 0) return;
  // What has no value may be the secret itself.
  const isNamed = (pair: string) => pair.includes("=");
  const names = [...new Set(pairs.filter(isNamed).map(nameOf))];
  const shown = [
    ...names.map((name) => `"${name}"`),
    ...(pairs.every(isNamed) ? [] : ["one without a value"]),
  ].join(", ");
  const pass = pairs.every(isNamed) ? names.join(",") : "*";
  throw invalid(
    `the web hook's URL holds parameters that dewy does not know: ${shown}`,
    `if they are the receiver's, add pass=${pass}`,
  );
}

function nameOf(pair: string): string {
  return [...new URLSearchParams(pair).keys()][0] ?? "";
}

function textOf(pair: string): string {
  return [...new URLSearchParams(pair).values()][0] ?? "";
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
