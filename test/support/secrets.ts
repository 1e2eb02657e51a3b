import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Every secret that a test gives to dewy is named so; whatever the test is about, dewy never shows one. */
const secret = /planted/i;

export function refuseSecrets(output: string): void {
  const line = output.split("\n").find((text) => secret.test(text));
  if (line !== undefined) throw new Error(`dewy showed a secret: ${line.slice(0, 1000)}`);
}

/** Of what dewy remembers on the host: what is to be told, what runs, what was deployed. */
export function refuseSecretsIn(directory: string): void {
  for (const name of ["outbox", "state.json", "history.jsonl"]) {
    const path = join(directory, name);
    if (!existsSync(path)) continue;
    const files = statSync(path).isFile() ? [path] : readdirSync(path).map((each) => join(path, each));
    for (const file of files.filter((each) => statSync(each).isFile())) {
      refuseSecrets(file);
      refuseSecrets(readFileSync(file, "utf8"));
    }
  }
}

/** What a server of a test was sent. A handler's error would reach nobody: refuse() at the end does. */
export class SecretWatch {
  readonly #shown: string[] = [];

  /** `headers`: without those that are there to carry a secret. */
  see(body: string, headers: Readonly<Record<string, string>> = {}): void {
    const { authorization: _, "x-dewy-signature": __, ...open } = headers;
    for (const text of [body, ...Object.entries(open).map(([name, value]) => `${name}: ${value}`)]) {
      if (secret.test(text)) this.#shown.push(text);
    }
  }

  refuse(): void {
    for (const text of this.#shown.splice(0)) refuseSecrets(text);
  }
}
