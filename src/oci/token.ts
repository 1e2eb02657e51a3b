import { DewyError } from "../errors.ts";
import type { HttpClient, HttpRequest } from "../http/client.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Challenge } from "./challenge.ts";
import type { RegistryCredentials } from "./image-source.ts";
import { isLoopback, type Repository } from "./reference.ts";
import { readToken } from "./wire.ts";

type BearerChallenge = Extract<Challenge, { scheme: "bearer" }>;

export interface Token {
  readonly value: string;
  /** On the monotonic clock. */
  readonly expiresAtMs: number;
}

interface TokenDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
}

/** What the distribution project's description says where the answer says nothing. */
const usualLifetimeMs = 60_000;
/** A token that ends within this is renewed first: the request that carries it takes a while. */
const renewBeforeMs = 5000;

/**
 * Gets a token from the server a challenge names: with OAuth2's refresh_token for an identity token, with Basic for
 * a password, else for nobody (distribution's token and OAuth2 token authentication).
 */
export async function fetchToken(
  challenge: BearerChallenge,
  login: RegistryCredentials | null,
  repository: Repository,
  deps: TokenDeps,
  c: Call,
): Promise<Token> {
  const realm = trustedRealm(challenge, repository);
  const scopes = challenge.scopes.length > 0 ? challenge.scopes : [`repository:${repository.name}:pull`];
  const asked = new URLSearchParams(challenge.service === null ? [] : [["service", challenge.service]]);
  const request = login?.kind === "identity-token" ? oauthRequest : tokenRequest;
  const { value } = await deps.http.getJson(
    {
      ...request(realm, asked, scopes, login),
      doing: `log in to ${repository.host} at ${realm.host}`,
      read: (json, headers): Token => tokenOf(json, headers, deps.clock),
    },
    c,
  );
  return value;
}

type MakeRequest = (
  realm: URL,
  asked: URLSearchParams,
  scopes: readonly string[],
  login: RegistryCredentials | null,
) => Omit<HttpRequest, "doing">;

const tokenRequest: MakeRequest = (realm, asked, scopes, login) => {
  for (const scope of scopes) asked.append("scope", scope);
  const headers: Record<string, string> = { Accept: "application/json" };
  if (login?.kind === "password") {
    asked.append("account", login.username);
    headers["Authorization"] = basicAuthorization(login);
  }
  const url = new URL(realm);
  for (const [name, value] of asked) url.searchParams.append(name, value);
  return { url: url.href, headers };
};

const oauthRequest: MakeRequest = (realm, asked, scopes, login) => {
  asked.append("scope", scopes.join(" "));
  asked.append("grant_type", "refresh_token");
  asked.append("client_id", "dewy");
  if (login?.kind === "identity-token") asked.append("refresh_token", login.token);
  const headers = { Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" };
  return { url: realm.href, method: "POST", headers, body: asked.toString() };
};

export function basicAuthorization(login: Extract<RegistryCredentials, { kind: "password" }>): string {
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
}

/**
 * A login may go where the registry itself says over an encrypted connection, if that is encrypted too. Else only
 * to the registry's own origin, and from one loopback server to another.
 */
function trustedRealm(challenge: BearerChallenge, repository: Repository): URL {
  const url = URL.parse(challenge.realm, repository.origin);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new DewyError("bad-answer", `${repository.host} names no usable token server`);
  }
  // fetch would turn them into an Authorization header.
  url.username = "";
  url.password = "";
  url.hash = "";
  const amongLoopback = repository.transport === "loopback" && isLoopback(url.host);
  if (url.protocol === "https:" || url.origin === repository.origin || amongLoopback) return url;
  throw new DewyError(
    "bad-answer",
    `${repository.host} names a token server without encryption, ${url.host}`,
    {
      hint: "let the registry's token realm begin with https://",
    },
  );
}

function tokenOf(json: unknown, headers: Headers, clock: Clock): Token {
  const answer = readToken(json);
  const value = answer.token || answer.access_token || "";
  if (!/^[\x21-\x7e]{1,65536}$/.test(value)) throw new Error("token: not a token");
  const lifetimeMs = answer.expires_in == null ? usualLifetimeMs : answer.expires_in * 1000;
  const leftMs = lifetimeMs - ageMs(answer.issued_at ?? null, headers) - renewBeforeMs;
  return { value, expiresAtMs: clock.monotonicMs() + leftMs };
}

/** Servers that give out one token several times say when it was made; on their own clock, not on ours. */
function ageMs(issuedAt: string | null, headers: Headers): number {
  const age = Date.parse(headers.get("date") ?? "") - Date.parse(issuedAt ?? "");
  return Number.isNaN(age) ? 0 : Math.max(0, age);
}
