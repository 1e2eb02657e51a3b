import { DewyError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type Challenge, parseChallenge } from "./challenge.ts";
import type { Credential } from "./credential.ts";
import type { CredentialStore } from "./credentials.ts";
import type { Repository } from "./reference.ts";
import { basicAuthorization, fetchToken } from "./token.ts";

/** Registries may ask for another scope for each (`metadata_read` to list tags). */
export type Endpoint = "tags" | "manifests" | "blobs";

export interface Authorization {
  /** The header's value. */
  readonly value: string;
  /** Where the login came from; null: a token for nobody. */
  readonly source: string | null;
}

interface Held extends Authorization {
  readonly expiresAtMs: number;
}

interface AuthorizerDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly credentials: CredentialStore;
}

const maxHeld = 16;

/** What to send with requests to one repository: learned from its challenges, kept until it ends or is refused. */
export class Authorizer {
  readonly #challenges = new Map<Endpoint, Challenge>();
  readonly #held = new Map<string, Held>();

  constructor(
    private readonly repository: Repository,
    private readonly deps: AuthorizerDeps,
  ) {}

  /** null: nothing was asked for yet. What one endpoint asks for usually does for the others. */
  async current(endpoint: Endpoint, c: Call): Promise<Authorization | null> {
    const challenge = this.#challenges.get(endpoint) ?? [...this.#challenges.values()].at(-1);
    return challenge === undefined ? null : this.#answer(challenge, c);
  }

  /** The answer to a 401; `sent` is what it was the answer to. null: there is nothing (else) to send. */
  async challenged(
    endpoint: Endpoint,
    header: string | null,
    sent: Authorization | null,
    c: Call,
  ): Promise<Authorization | null> {
    const challenge = parseChallenge(header);
    if (challenge === null) {
      this.refused();
      throw new DewyError(
        "unauthorized",
        `${this.repository.host} asks for a kind of login dewy does not know`,
      );
    }
    const key = keyOf(challenge);
    if (this.#held.get(key)?.value === sent?.value) this.#held.delete(key);
    this.#challenges.set(endpoint, challenge);
    return this.#answer(challenge, c);
  }

  /** Nothing that was held is used again, as the login may have changed meanwhile. */
  refused(): void {
    this.#held.clear();
    this.#challenges.clear();
  }

  async #answer(challenge: Challenge, c: Call): Promise<Authorization | null> {
    const key = keyOf(challenge);
    const held = this.#held.get(key);
    if (held !== undefined && held.expiresAtMs > this.deps.clock.monotonicMs()) return held;
    const credential = await this.deps.credentials.find(c);
    const fresh =
      challenge.scheme === "basic" ? basic(credential) : await this.#bearer(challenge, credential, c);
    // A registry that asks for ever other scopes must not fill the memory.
    if (this.#held.size >= maxHeld) this.#held.clear();
    if (fresh !== null) this.#held.set(key, fresh);
    return fresh;
  }

  async #bearer(
    challenge: Extract<Challenge, { scheme: "bearer" }>,
    credential: Credential | null,
    c: Call,
  ): Promise<Held> {
    const login = credential?.login ?? null;
    const source = credential?.source ?? null;
    try {
      const { value, expiresAtMs } = await fetchToken(challenge, login, this.repository, this.deps, c);
      return { value: `Bearer ${value}`, source, expiresAtMs };
    } catch (error) {
      throw withLoginHint(error, this.repository, source);
    }
  }
}

/** Says of a refusal which login was refused, or that there was none. */
export function withLoginHint(error: unknown, { host, name }: Repository, source: string | null): unknown {
  if (!(error instanceof DewyError) || error.code !== "unauthorized") return error;
  const hint =
    source === null
      ? `check the name; a private image needs docker login ${host}, or see DOCKER_USERNAME`
      : `the login from ${source} may not read ${name}: check it, and that the image exists`;
  return new DewyError("unauthorized", error.message, { hint, retryAfterMs: error.retryAfterMs });
}

function basic(credential: Credential | null): Held | null {
  if (credential === null) return null;
  const { login, source } = credential;
  if (login.kind !== "password") {
    throw new DewyError(
      "unauthorized",
      `the registry asks for a password, ${source} holds an identity token`,
    );
  }
  return { value: basicAuthorization(login), source, expiresAtMs: Number.POSITIVE_INFINITY };
}

function keyOf(challenge: Challenge): string {
  return challenge.scheme === "basic" ? "basic" : JSON.stringify(challenge);
}
