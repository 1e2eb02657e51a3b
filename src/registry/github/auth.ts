import { readFile } from "node:fs/promises";
import { isoTimestamp, object, parse, pipe, string } from "valibot";
import { DewyError, messageOf } from "../../errors.ts";
import type { HttpClient } from "../../http/client.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { GithubCredentials } from "./environment.ts";

type AppCredentials = Extract<GithubCredentials, { kind: "app" }>;

/** Gives the value of the Authorization header. */
export interface GithubAuth {
  /** null: no credentials. */
  authorization(c: Call): Promise<string | null>;
  /** The server refused what was given: a token that was cached is not used again. */
  refused(): void;
}

interface AuthDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly apiUrl: string;
}

/** A token that ends within this is renewed first: a download that uses it may take a while. */
const renewBeforeMs = 5 * 60_000;
const installationToken = object({ token: string(), expires_at: pipe(string(), isoTimestamp()) });

export function githubAuth(credentials: GithubCredentials, deps: AuthDeps): GithubAuth {
  if (credentials.kind === "app") return new InstallationAuth(credentials, deps);
  const value = credentials.kind === "token" ? `Bearer ${credentials.token}` : null;
  return { authorization: async () => value, refused() {} };
}

/** A GitHub App's installation: its tokens last an hour and are made with a JWT that the private key signs. */
class InstallationAuth implements GithubAuth {
  #token: { readonly value: string; readonly expiresAtMs: number } | null = null;

  constructor(
    private readonly app: AppCredentials,
    private readonly deps: AuthDeps,
  ) {}

  async authorization(c: Call): Promise<string> {
    const known = this.#token;
    if (known !== null && known.expiresAtMs - renewBeforeMs > this.deps.clock.now().getTime()) {
      return `Bearer ${known.value}`;
    }
    const { token, expires_at } = await this.#mint(c);
    this.#token = { value: token, expiresAtMs: Date.parse(expires_at) };
    return `Bearer ${token}`;
  }

  refused(): void {
    this.#token = null;
  }

  /** auth-app only signs; the request is ours, so that it goes to the API's host and has our deadline. */
  async #mint(c: Call): Promise<{ token: string; expires_at: string }> {
    const { app, deps } = this;
    const { value } = await deps.http.getJson(
      {
        url: `${deps.apiUrl}/app/installations/${app.installationId}/access_tokens`,
        method: "POST",
        headers: {
          Accept: "application/vnd.github+json",
          Authorization: `Bearer ${await signedJwt(app)}`,
        },
        doing: "get a GitHub App token",
        read: (json) => parse(installationToken, json),
      },
      c,
    );
    return value;
  }
}

async function signedJwt(app: AppCredentials): Promise<string> {
  const privateKey = "pem" in app.privateKey ? app.privateKey.pem : await readKey(app.privateKey.path);
  try {
    const { createAppAuth } = await import("@octokit/auth-app");
    const { token } = await createAppAuth({ appId: app.appId, privateKey })({ type: "app" });
    return token;
  } catch {
    // The cause could quote the key.
    throw new DewyError("config-invalid", "the GitHub App's private key cannot be used", {
      hint: "give the .pem file that GitHub made, as it is",
    });
  }
}

async function readKey(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new DewyError("config-invalid", `GITHUB_APP_PRIVATE_KEY_PATH: ${messageOf(error)}`);
  }
}
