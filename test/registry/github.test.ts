import type { GithubServerOptions } from "../support/github-server.ts";
import { registryContract } from "./contract.ts";
import { openOn, start } from "./github-fixture.ts";

const contractOptions: [string, GithubServerOptions][] = [
  ["GitHub", {}],
  ["GitHub, a private repository without digests", { private: true, digests: false }],
];
for (const [name, options] of contractOptions) {
  registryContract(name, async () => {
    const gh = await start(options);
    let seconds = 0;
    return {
      publish: async (tag, published) => {
        gh.publish({ tag, files: published, createdAt: new Date(Date.UTC(2026, 0, 1, 0, 0, seconds++)) });
      },
      remove: async (tag) => gh.remove(tag),
      reports: async (tag) => gh.reports(tag).map((report) => report.body),
      open: async (policy) => openOn(gh, undefined, { policy }),
      [Symbol.asyncDispose]: () => gh[Symbol.asyncDispose](),
    };
  });
}
