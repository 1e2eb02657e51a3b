import { describe, expect, test } from "bun:test";
import { parseGithubUrl } from "../../src/registry/github/url.ts";
import type { ReleaseFile } from "../../src/release/release.ts";
import { c, openOn, start } from "./github-fixture.ts";

describe("URLs", () => {
  test("everything a URL can say", () => {
    const url = new URL("ghr://Owner/my.repo?pre-release=true&artifact=a.zip&constraint=~1.4");
    expect(parseGithubUrl(url)).toEqual({
      owner: "Owner",
      repo: "my.repo",
      artifact: "a.zip",
      preRelease: true,
      constraint: "~1.4",
      calver: null,
    });
  });

  test.each([
    "ghr://owner",
    "ghr:///repo",
    "ghr://owner/repo/more",
    "ghr://user:s3cret@owner/repo",
    "ghr://owner:99/repo",
    "ghr://owner/repo#x",
    "ghr://owner/repo?prerelease=true",
    "ghr://owner/repo?pre-release=maybe",
    "ghr://owner/repo?artifact=",
    "ghr://owner/repo?constraint=new",
    "ghr://owner/repo?calver=ABC",
    "ghr://owner/repo?calver=YYYY.MM&constraint=1",
  ])("%s is refused", (text) => {
    const parse = () => parseGithubUrl(new URL(text));
    expect(parse).toThrow(expect.objectContaining({ code: "config-invalid", hint: expect.any(String) }));
    expect(parse).not.toThrow(/s3cret/);
  });

  test("an artifact of another repository is not fetched", async () => {
    await using gh = await start();
    const url = "ghr://other/r/tag/v1.0.0/a.zip";
    const file: ReleaseFile = { name: "a.zip", url, sizeBytes: null, digest: null, revision: null };
    await expect(openOn(gh).source.open(file, null, c)).rejects.toMatchObject({ code: "artifact-missing" });
    expect(gh.requests).toEqual([]);
  });

  test("tags and names with special characters", async () => {
    await using gh = await start();
    const name = "app+x 1_linux_amd64.zip";
    gh.publish({ tag: "v1.0.0+a.b", files: { [name]: "zip" } });
    const { registry, source } = openOn(gh);
    const artifact = (await registry.find("v1.0.0+a.b", c))?.artifact;
    expect(artifact?.url).toBe("ghr://o/r/tag/v1.0.0%2Ba.b/app%2Bx%201_linux_amd64.zip");
    if (!artifact) throw new Error("no artifact");
    const body = await source.open({ ...artifact, revision: null }, null, c);
    expect(Buffer.concat(await Array.fromAsync(body.chunks)).toString()).toBe("zip");
  });
});
