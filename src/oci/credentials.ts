import type { Call } from "../util/async.ts";
import type { Credential, CredentialDeps } from "./credential.ts";
import { dockerConfigCredential } from "./docker-config.ts";
import { dockerVariableCredential, hostVariableCredential } from "./environment.ts";
import type { Repository } from "./reference.ts";

/**
 * The login for one repository, the most specific first: Docker's configuration, the variable of a well-known
 * host, DOCKER_USERNAME. Where the way to the registry is not encrypted, it is given out only if the operator
 * wrote `insecure=true`.
 */
export class CredentialStore {
  #warned = false;

  constructor(
    private readonly repository: Repository,
    private readonly deps: CredentialDeps,
  ) {}

  /** Looked for anew each time: helpers give out tokens that end, and people log in while the agent runs. */
  async find(c: Call): Promise<Credential | null> {
    const { repository, deps } = this;
    const found =
      (await dockerConfigCredential(repository, deps, c)) ??
      hostVariableCredential(repository, deps.env) ??
      dockerVariableCredential(deps.env);
    if (found === null || !this.#isClear()) return found;
    this.#warn(found.source);
    return repository.transport === "clear-asked" ? found : null;
  }

  #isClear(): boolean {
    return this.repository.transport === "clear-asked" || this.repository.transport === "clear-implied";
  }

  #warn(source: string): void {
    if (this.#warned) return;
    this.#warned = true;
    const { host, transport } = this.repository;
    if (transport === "clear-asked") {
      this.deps.log.warn("Registry credentials are sent unencrypted", { registry: host, source });
      return;
    }
    this.deps.log.warn("Registry credentials withheld", {
      registry: host,
      source,
      hint: "the connection is not encrypted: write insecure=true to send them, insecure=false for HTTPS",
    });
  }
}
