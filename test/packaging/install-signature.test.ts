import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { makeAuthority } from "../support/authority.ts";
import { Installation } from "../support/installation.ts";
import { gone, ReleaseServer } from "../support/release-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const signature = "SHA256SUMS.minisig";

/** The root's own minisign, with a key of its own; the public one as the second line of its file. */
async function signer(it: Installation): Promise<{ key: string; sign(tag: string): Promise<void> }> {
  const made = await it.root.sh(
    "mkdir -p /keys && minisign -G -W -p /keys/public -s /keys/secret && tail -n 1 /keys/public",
  );
  const url = it.server.url;
  return {
    key: made.output.trim().split("\n").at(-1) ?? "",
    async sign(tag) {
      const { code, output } = await it.root.sh(
        `cd /keys && curl -fsSo SHA256SUMS ${url}/download/${tag}/SHA256SUMS && minisign -S -s secret -m SHA256SUMS && cat ${signature}`,
      );
      expect({ code, output }).toMatchObject({ code: 0 });
      it.server.says(signature, () => new Response(output.slice(output.indexOf("untrusted comment"))));
    },
  };
}

describe("with minisign's key", () => {
  test("given as it is, or as a file, takes a release that it signed", async () => {
    await using it = await Installation.open("debian");
    const { key, sign } = await signer(it);
    await sign("v1.2.3");
    const byKey = await it.install(["--minisign-key", key]);
    expect(byKey).toMatchObject({ code: 0 });
    expect(byKey.output).toContain("signature: SHA256SUMS is signed by the minisign key that was given");
    it.publish("v1.3.0");
    await sign("v1.3.0");
    expect(await it.install([], { env: { DEWY_MINISIGN_KEY: "/keys/public" } })).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.3.0");
  });

  test("takes no other release, whatever its sums say", async () => {
    await using it = await Installation.open("debian");
    const { key, sign } = await signer(it);
    await sign("v1.2.3");
    it.publish("v6.6.6"); // with sums of its own, and the signature of the other one
    const { code, output } = await it.install(["--minisign-key", key]);
    expect(code).toBe(1);
    expect(output).toContain("the signature SHA256SUMS.minisig is not by the key that was given");
    const another = await signer(it);
    await it.root.sh("rm -r /keys");
    const stranger = await signer(it);
    await stranger.sign("v6.6.6");
    expect(await it.install(["--minisign-key", another.key])).toMatchObject({ code: 1 });
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });

  test("takes none that is not signed, and none where minisign is not installed", async () => {
    await using it = await Installation.open("debian");
    const { key } = await signer(it);
    it.server.says(signature, gone);
    expect((await it.install(["--minisign-key", key])).output).toContain(
      "this release has no signature SHA256SUMS.minisig",
    );
    rmSync(it.root.path("/usr/bin/minisign"));
    expect((await it.install(["--minisign-key", key])).output).toContain("minisign is not installed");
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });
});

describe("with cosign's key", () => {
  /** Stands for cosign: vouches if the bundle says so. */
  const cosign = `#!/bin/sh
[ "$1 $2 $4" = "verify-blob --key --bundle" ] && [ "$3" = /keys/cosign.pub ] && grep -q good "$5" && grep -q dewy-linux "$6"
`;
  test.each([
    ["good", 0],
    ["bad", 1],
  ])("a bundle that is %s: exit code %d", async (bundle, code) => {
    await using it = await Installation.open("debian");
    writeFileSync(it.root.path("/usr/local/bin/cosign"), cosign, { mode: 0o755 });
    it.server.says("SHA256SUMS.sigstore.json", () => new Response(bundle));
    expect(await it.install(["--cosign-key /keys/cosign.pub"])).toMatchObject({ code });
    expect(it.root.names("/usr/local/bin")).toEqual(code === 0 ? ["cosign", "dewy"] : ["cosign"]);
  });

  test("takes none where cosign is not installed, or nothing is signed", async () => {
    await using it = await Installation.open("debian");
    expect((await it.install(["--cosign-key /keys/x"])).output).toContain("cosign is not installed");
    writeFileSync(it.root.path("/usr/local/bin/cosign"), cosign, { mode: 0o755 });
    expect((await it.install(["--cosign-key /keys/x"])).output).toContain(
      "has no signature SHA256SUMS.sigstore.json",
    );
    expect(it.root.names("/usr/local/bin")).toEqual(["cosign"]);
  });
});

describe.concurrent("what vouches for a release", () => {
  test("over plain http to another machine nothing does, and a warning says so", async () => {
    await using it = await Installation.open("debian");
    const { code, output } = await it.install(["--base-url http://dewy.invalid --timeout 1"]);
    expect(code).toBe(1);
    expect(output).toContain("warning: over http nobody vouches for what comes");
  });

  test("a mirror's password is in no message", async () => {
    await using it = await Installation.open("debian");
    const mirror = it.server.url.replace("//", "//someone:planted-password@");
    for (const args of [[], ["--version v9.9.9"]]) {
      const { output } = await it.install(["--base-url", mirror, ...args]);
      expect(output).toContain(it.server.url);
      expect(output).not.toContain("planted-password");
    }
  });

  test("BusyBox's own TLS takes any certificate, so nothing is taken by it", async () => {
    using directory = tempDir();
    await using it = await Installation.open(
      "alpine",
      makeAuthority(directory.path).issue("IP:127.0.0.1", 1),
    );
    const { code, output } = await it.install([], { get: "wget -qO-" });
    expect(code).toBe(1);
    expect(output).toContain("this wget does not check the server's certificate; install curl");
    expect(it.server.asked).toEqual(["install.sh", "SHA256SUMS"]);
    expect(it.root.names("/usr/local/bin")).toEqual([]);
  });

  test.each([
    ["curl", "CURL_CA_BUNDLE"],
    ["wget", "SSL_CERT_FILE"],
  ])("%s takes a release of a known certificate's owner only", async (fetcher, variable) => {
    using directory = tempDir();
    const authority = makeAuthority(directory.path);
    await using it = await Installation.open("debian", authority.issue("IP:127.0.0.1", 1));
    if (fetcher === "wget") rmSync(it.root.path("/usr/bin/curl"));
    const script = it.root.path("/tmp/install.sh");
    writeFileSync(script, readFileSync("scripts/install.sh"));
    const args = ["sh", "/tmp/install.sh", "--base-url", it.server.url];
    const stranger = await it.root.run(args);
    expect(stranger.code).toBe(1);
    expect(stranger.output).toMatch(/could not be downloaded: .*(certificate|SSL)/i);
    expect(it.server.asked).toEqual([]);
    writeFileSync(it.root.path("/tmp/ca.pem"), readFileSync(authority.ca));
    if (fetcher === "wget") writeFileSync(it.root.path("/etc/wgetrc"), "ca_certificate=/tmp/ca.pem\n");
    expect(await it.root.run(args, { env: { [variable]: "/tmp/ca.pem" } })).toMatchObject({ code: 0 });
    expect(await it.version()).toBe("v1.2.3");
  });

  test("a server that leads from https to http is not followed", async () => {
    using directory = tempDir();
    const authority = makeAuthority(directory.path);
    await using it = await Installation.open("debian", authority.issue("IP:127.0.0.1", 1));
    await using plain = new ReleaseServer();
    plain.publish("v6.6.6", {});
    it.server.says("SHA256SUMS", () => Response.redirect(`${plain.url}/download/v6.6.6/SHA256SUMS`));
    writeFileSync(it.root.path("/tmp/install.sh"), readFileSync("scripts/install.sh"));
    writeFileSync(it.root.path("/tmp/ca.pem"), readFileSync(authority.ca));
    const args = ["sh", "/tmp/install.sh", "--base-url", it.server.url];
    expect(await it.root.run(args, { env: { CURL_CA_BUNDLE: "/tmp/ca.pem" } })).toMatchObject({ code: 1 });
    expect(plain.asked).toEqual([]);
  });
});
