import { DewyError, messageOf, systemCode } from "../../errors.ts";
import { networkError } from "../../http/error.ts";
import { field } from "../../util/field.ts";
import { clean } from "./clean.ts";

/** What went wrong when credentials were looked for or a token was asked for. */
interface Facts {
  /** The library's words and the token server's, cleaned. */
  readonly said: string;
  readonly status: number | null;
  /** The server's clock; null when it did not tell. */
  readonly serverTime: Date | null;
  readonly host: string;
}

interface Rule {
  readonly said: RegExp;
  readonly text: string;
  readonly hint: string;
}

const keyFile = "name a readable key file in GOOGLE_APPLICATION_CREDENTIALS";
const newKey =
  "make a new key (gcloud iam service-accounts keys create) and name it in GOOGLE_APPLICATION_CREDENTIALS";

/** The first that fits names cause and remedy. */
const rules: readonly Rule[] = [
  {
    said: /Could not load the default credentials/i,
    text: "no Google credentials on this host",
    hint: `${keyFile}, attach a service account to the machine, or write anonymous=true for a public bucket`,
  },
  {
    said: /does not exist, or it is not a file|ENOENT|EACCES|EISDIR/i,
    text: "FILE cannot be read",
    hint: keyFile,
  },
  {
    said: /JSON Parse|not valid JSON|Unexpected token|does not contain an? |Invalid JSON|required field|missing|Must pass in a JSON/i,
    text: "the credentials file is not one of Google's",
    hint: `${newKey}; the file must be the JSON as it was downloaded`,
  },
  {
    said: /DECODER|PEM|asn1|private key|ERR_OSSL|secretOrPrivateKey|key must be/i,
    text: "the private key in the credentials file is damaged",
    hint: newKey,
  },
  {
    said: /invalid jwt signature|no valid verifier/i,
    text: "Google does not know this key (invalid_grant)",
    hint: `the key was deleted or belongs to another account: ${newKey}`,
  },
  {
    said: /account not found|account has been deleted|disabled_client|service account .*disabled/i,
    text: "the service account was deleted or disabled",
    hint: "enable it, or make a key of another account",
  },
  {
    said: /expired or revoked|invalid_rapt|reauth/i,
    text: "the user's login expired or was revoked (invalid_grant)",
    hint: "run gcloud auth application-default login again; on a server use a service account, which does not expire",
  },
  {
    said: /iam\.serviceAccounts\.getAccessToken|unable to impersonate/i,
    text: "the account may not be impersonated",
    hint: "grant roles/iam.serviceAccountTokenCreator on the target service account",
  },
  {
    said: /invalid_client|unauthorized_client|invalid_target|invalid_request|invalid_scope/i,
    text: "Google does not accept the credentials",
    hint: "check client and audience in the credentials file against the project's settings",
  },
  {
    said: /Unable to read the credential file/i,
    text: "the credentials file is not one of Google's",
    hint: `${newKey}; the file must be the JSON as it was downloaded`,
  },
  {
    said: /Metadata-Flavor|metadata|Compute Engine|Unsuccessful response status code/i,
    text: "the machine's metadata server gives no token",
    hint: "attach a service account to the machine, or set GOOGLE_APPLICATION_CREDENTIALS",
  },
];

/** The one place where a failure of Google's login library becomes an error. */
export function authError(error: unknown, doing: string, now: Date): DewyError {
  const own = ownError(error);
  if (own !== null) return own;
  const facts = factsOf(error);
  const code = networkCode(error);
  if (facts.status === null && code !== null) return networkError({ code }, doing, facts.host);
  if (facts.status === null && /timed out|timeout/i.test(facts.said)) return silent(facts, doing);
  const skew = clockError(facts, doing, now);
  if (skew !== null) return skew;
  if (facts.status === 429) return new DewyError("rate-limited", said(facts, doing), { retryAfterMs: 5000 });
  if (facts.status !== null && facts.status >= 500) return new DewyError("http-status", said(facts, doing));
  const rule = rules.find((candidate) => candidate.said.test(facts.said));
  if (rule !== undefined) {
    const text = rule.text.replace("FILE", fileOf(facts.said) ?? "the credentials file");
    return new DewyError("unauthorized", `${doing}: ${text}`, { hint: rule.hint });
  }
  return new DewyError("unauthorized", said(facts, doing), { hint: `check the credentials: ${keyFile}` });
}

function silent({ host }: Facts, doing: string): DewyError {
  return new DewyError("network-timeout", `${doing}: no answer to the login from ${host}`);
}

/** "Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values". */
function clockError({ said: text, serverTime }: Facts, doing: string, now: Date): DewyError | null {
  if (!/iat and exp|short-lived token|reasonable timeframe|not yet valid|used too early/i.test(text))
    return null;
  const behindMs = serverTime === null ? 0 : serverTime.getTime() - now.getTime();
  const minutes = Math.round(Math.abs(behindMs) / 60_000);
  const by = minutes === 0 ? "" : ` by ${minutes} min (${behindMs > 0 ? "behind" : "ahead"})`;
  return new DewyError(
    "unauthorized",
    `${doing}: this host's clock is wrong${by}, so Google refuses the login`,
    {
      hint: "set the clock (timedatectl set-ntp true)",
    },
  );
}

function said({ host, status, said: text }: Facts, doing: string): string {
  const answered = status === null ? "login failed" : `${host} answered ${status} to the login`;
  return `${doing}: ${answered}${text === "" ? "" : ` (${text})`}`;
}

/** gaxios's error: `config.url`, and `response` with `status`, `headers`, `data` once there was an answer. */
function factsOf(error: unknown): Facts {
  const response = field(error, "response");
  const status = field(response, "status");
  const headers = field(response, "headers");
  const date = headers instanceof Headers ? Date.parse(headers.get("date") ?? "") : Number.NaN;
  const data = field(response, "data");
  const words = [
    field(data, "error"),
    field(data, "error_description"),
    field(field(data, "error"), "message"),
  ];
  return {
    said: clean([libraryWords(error), ...words.filter((word) => typeof word === "string")].join(" ")),
    status: typeof status === "number" ? status : null,
    serverTime: Number.isNaN(date) ? null : new Date(date),
    host: hostOf(field(field(error, "config"), "url")),
  };
}

/** The library prints an error that is an object as one. */
function libraryWords(error: unknown): string {
  return messageOf(error).replace(/\[object Object\](: undefined)?/g, "");
}

/** "The file at /path/key.json does not exist, or it is not a file." */
function fileOf(text: string): string | null {
  return /The file at (\S+) does not exist/.exec(text)?.[1] ?? null;
}

function hostOf(url: unknown): string {
  return URL.parse(String(url))?.host ?? "Google's login server or the machine's metadata server";
}

/** The transport throws DewyErrors of its own (deadlines), which the library wraps. */
function ownError(error: unknown, depth = 0): DewyError | null {
  if (error instanceof DewyError) return error;
  return depth < 5 && error instanceof Error ? ownError(error.cause, depth + 1) : null;
}

/** Of a connection that could not be made, however deep. */
function networkCode(error: unknown, depth = 0): string | null {
  const code = systemCode(error);
  const files = code === undefined || /^(ENOENT|EACCES|EISDIR|EPERM|ERR_OSSL|ERR_CRYPTO)/.test(code);
  if (!files && /^E[A-Z_]+$|^Connection|^FailedToOpen|CERT|SELF_SIGNED|VERIFY|TLS|SSL/.test(code))
    return code;
  return depth < 5 && error instanceof Error ? networkCode(error.cause, depth + 1) : null;
}
