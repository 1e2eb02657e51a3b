/** One way a registry offers to be asked with credentials (RFC 9110 §11.6.1). */
export type Challenge =
  | { readonly scheme: "basic" }
  | {
      readonly scheme: "bearer";
      readonly realm: string;
      readonly service: string | null;
      /** Each with all its actions, as it stands there: `repository:team/app:pull,push`. */
      readonly scopes: readonly string[];
    };

interface Offer {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

const maxHeaderLength = 16 * 1024;
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A URL without quotes is against the grammar, but means only one thing. */
const parameter = new RegExp(`(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, "y");
const schemeName = new RegExp(`(${token})(?=\\s|,|$)`, "y");

/** A Bearer challenge where there is one, else Basic; null: none of them. */
export function parseChallenge(header: string | null): Challenge | null {
  const offers = parseOffers((header ?? "").slice(0, maxHeaderLength));
  for (const { scheme, parameters } of offers) {
    const realm = parameters.get("realm") ?? "";
    if (scheme !== "bearer" || realm === "") continue;
    const scopes = (parameters.get("scope") ?? "").split(/\s+/).filter((scope) => scope !== "");
    return { scheme: "bearer", realm, service: parameters.get("service") ?? null, scopes };
  }
  return offers.some(({ scheme }) => scheme === "basic") ? { scheme: "basic" } : null;
}

/** Commas divide parameters as well as challenges, and stand within quotes too. */
function parseOffers(header: string): Offer[] {
  const offers: Offer[] = [];
  for (let at = 0; at < header.length; ) {
    const pair = matchAt(parameter, header, at);
    if (pair !== null) {
      const value = pair[2]?.replace(/\\(.)/g, "$1") ?? pair[3] ?? "";
      offers.at(-1)?.parameters.set((pair[1] ?? "").toLowerCase(), value);
      at += pair[0].length;
      continue;
    }
    const name = matchAt(schemeName, header, at);
    if (name !== null) offers.push({ scheme: name[0].toLowerCase(), parameters: new Map() });
    at += name?.[0].length ?? 1;
  }
  return offers;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
