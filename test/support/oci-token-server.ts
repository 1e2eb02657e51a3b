import { createPrivateKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HttpHost, type Reply, type SeenRequest } from "./http-host.ts";

export interface TokenServerOptions {
  /** Name → password. */
  readonly users: Readonly<Record<string, string>>;
  /** Whether one without credentials may pull. */
  readonly anonymousPull?: boolean;
  /** What the answers say; absent: nothing, which means 60. */
  readonly expiresInSeconds?: number;
  /** Identity (refresh) token → user. */
  readonly identityTokens?: Readonly<Record<string, string>>;
}

/** Gives out tokens as the distribution project's token authentication describes it (JWT, ES256). */
export interface OciTokenServer extends AsyncDisposable {
  readonly host: HttpHost;
  /** The `auth` part of the registry's configuration. */
  readonly registryConfig: object;
  /** A valid token for these scopes, whoever asks. */
  mint(scopes: readonly string[]): string;
}

const service = "test-registry";
const issuer = "test-issuer";

export async function startTokenServer(
  directory: string,
  options: TokenServerOptions,
): Promise<OciTokenServer> {
  const signer = makeSigner(directory);
  const mint = (scopes: readonly string[]) => makeToken(signer, scopes.map(accessOf));
  const host = await HttpHost.start((request) => answer(request, options, mint));
  return {
    host,
    mint,
    registryConfig: {
      token: { realm: `${host.origin}/token`, service, issuer, rootcertbundle: certificateIn(directory) },
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

type Mint = (scopes: readonly string[]) => string;

function answer(request: SeenRequest, options: TokenServerOptions, mint: Mint): Reply {
  const asked = questionOf(request);
  const user = request.method === "POST" ? identified(asked, options) : basicUser(request, options);
  if (asked.get("service") !== service || user === undefined)
    return json(401, { details: "bad credentials" });
  const scopes = asked.getAll("scope").flatMap((scope) => scope.split(" "));
  const granted = user === null ? scopes.map((scope) => anonymousPart(scope, options)) : scopes;
  const token = mint(granted.filter((scope) => scope !== ""));
  const { expiresInSeconds } = options;
  const expiry = expiresInSeconds === undefined ? {} : { expires_in: expiresInSeconds };
  return json(200, { ...(request.method === "POST" ? { access_token: token } : { token }), ...expiry });
}

function questionOf(request: SeenRequest): URLSearchParams {
  if (request.method === "POST") return new URLSearchParams(Buffer.from(request.body).toString());
  return new URL(request.path, "http://x").searchParams;
}

/** undefined: wrong; null: nobody. */
function basicUser(request: SeenRequest, options: TokenServerOptions): string | null | undefined {
  const header = request.headers.get("authorization");
  if (header === null) return null;
  const [name = "", ...rest] = Buffer.from(header.replace("Basic ", ""), "base64").toString().split(":");
  return options.users[name] === rest.join(":") ? name : undefined;
}

function identified(asked: URLSearchParams, options: TokenServerOptions): string | undefined {
  if (asked.get("grant_type") !== "refresh_token" || asked.get("client_id") === null) return undefined;
  return options.identityTokens?.[asked.get("refresh_token") ?? ""];
}

function anonymousPart(scope: string, options: TokenServerOptions): string {
  return options.anonymousPull === true ? scope.replace(/:[^:]*$/, ":pull") : "";
}

function json(status: number, value: object): Reply {
  return { status, headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
}

function accessOf(scope: string) {
  const [, type = "", name = "", actions = ""] = /^([^:]*):(.*):([^:]*)$/.exec(scope) ?? [];
  return { type, name, actions: actions.split(",") };
}

interface Signer {
  readonly key: KeyObject;
  /** Its certificate, DER in base64. */
  readonly certificate: string;
}

function makeToken({ key, certificate }: Signer, access: readonly object[]): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    sub: "u",
    aud: service,
    nbf: now - 5,
    iat: now,
    exp: now + 300,
    jti: "1",
    access,
  };
  const header = { typ: "JWT", alg: "ES256", x5c: [certificate] };
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

function certificateIn(directory: string): string {
  return join(directory, "token-cert.pem");
}

function makeSigner(directory: string): Signer {
  const path = join(directory, "token-key.pem");
  const command =
    "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=test";
  const made = Bun.spawnSync([...command.split(" "), "-keyout", path, "-out", certificateIn(directory)]);
  if (!made.success) throw new Error(`openssl: ${made.stderr.toString()}`);
  const certificate = new X509Certificate(readFileSync(certificateIn(directory)));
  return { key: createPrivateKey(readFileSync(path)), certificate: certificate.raw.toString("base64") };
}
