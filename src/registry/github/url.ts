import { DewyError } from "../../errors.ts";
import { readSelection, type SelectionOptions } from "../selection.ts";

/** What a `ghr://` URL says. */
export interface GithubOptions extends SelectionOptions {
  readonly owner: string;
  readonly repo: string;
}

/** `ghr://owner/repo?pre-release=true&artifact=NAME&constraint=RANGE&calver=FORMAT`; else `config-invalid`. */
export function parseGithubUrl(url: URL): GithubOptions {
  const repo = /^\/([A-Za-z0-9._-]+)\/?$/.exec(url.pathname)?.[1];
  const plain = url.username === "" && url.password === "" && url.port === "" && url.hash === "";
  if (url.protocol !== "ghr:" || !plain || !/^[A-Za-z0-9_-]+$/.test(url.host) || repo === undefined) {
    throw new DewyError("config-invalid", "the registry URL does not name a GitHub repository", {
      hint: "write ghr://owner/repo; tokens go into GH_TOKEN, a GitHub Enterprise address into GITHUB_API_URL",
    });
  }
  return { ...readSelection(url), owner: url.host, repo };
}
