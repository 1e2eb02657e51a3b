import { describe, expect, test } from "bun:test";
import { chooseArtifact, type Platform } from "../../src/release/platform.ts";
import type { ReleaseFile } from "../../src/release/release.ts";

const file = (name: string): ReleaseFile => ({
  name,
  url: `file:///r/${name}`,
  sizeBytes: null,
  digest: null,
  revision: null,
});
const linux: Platform = { os: "linux", arch: "amd64" };
const linuxArm: Platform = { os: "linux", arch: "arm64" };
const mac: Platform = { os: "darwin", arch: "arm64" };
const chosen = (names: readonly string[], platform: Platform, wanted: string | null = null) =>
  chooseArtifact(names.map(file), platform, wanted)?.name ?? null;

const everyPlatform = [
  "app_1.0.0_darwin_amd64.tar.gz",
  "app_1.0.0_darwin_arm64.tar.gz",
  "app_1.0.0_linux_386.tar.gz",
  "app_1.0.0_linux_arm.tar.gz",
  "app_1.0.0_linux_armv7.tar.gz",
  "app_1.0.0_linux_arm64.tar.gz",
  "app_1.0.0_linux_amd64.tar.gz",
  "app_1.0.0_windows_amd64.zip",
];

describe("chooseArtifact", () => {
  test.each<[string, readonly string[], Platform, string | null]>([
    ["amd64 among all", everyPlatform, linux, "app_1.0.0_linux_amd64.tar.gz"],
    ["arm64, not arm", everyPlatform, linuxArm, "app_1.0.0_linux_arm64.tar.gz"],
    ["darwin", everyPlatform, mac, "app_1.0.0_darwin_arm64.tar.gz"],
    ["any case", ["App_Linux_X86_64.tar.gz"], linux, "App_Linux_X86_64.tar.gz"],
    ["x86_64 between other separators", ["app-linux-x86_64.tgz"], linux, "app-linux-x86_64.tgz"],
    ["aarch64", ["app-aarch64-unknown-linux-gnu.tar.xz"], linuxArm, "app-aarch64-unknown-linux-gnu.tar.xz"],
    ["macos", ["app-macos-arm64.zip"], mac, "app-macos-arm64.zip"],
    ["no separators", ["myapplinuxamd64.tar.gz"], linux, "myapplinuxamd64.tar.gz"],
    ["dots", ["app.linux.amd64.tar.bz2"], linux, "app.linux.amd64.tar.bz2"],
    [
      "whole parts before substrings",
      ["applinuxamd64.zip", "app_linux_amd64.zip"],
      linux,
      "app_linux_amd64.zip",
    ],
    [
      "a plain build before a variant",
      ["a_linux_amd64v3.zip", "a_linux_amd64.zip"],
      linux,
      "a_linux_amd64.zip",
    ],
    ["a variant where there is nothing else", ["a_linux_amd64v1.tar.gz"], linux, "a_linux_amd64v1.tar.gz"],
    [
      "the first published of equals",
      ["app_linux_amd64.zip", "app_linux_amd64.tar.gz"],
      linux,
      "app_linux_amd64.zip",
    ],
    ["`_64` alone is no x86_64", ["app_linux_64.tar.gz"], linux, null],
    ["x86 is no x86_64", ["app_linux_x86.tar.gz"], linux, null],
    ["`darwin` does not stand for windows, nor windows for darwin", ["app_windows_arm64.zip"], mac, null],
    ["the OS alone is not enough", ["app_linux.tar.gz"], linux, null],
    ["the architecture alone is not enough", ["app_amd64.tar.gz"], linux, null],
    ["another architecture never", ["app_linux_arm64.tar.gz"], linux, null],
    ["nothing of nothing", [], linux, null],
    [
      "a project named after an OS",
      ["linux-exporter_darwin_amd64.zip", "linux-exporter_linux_amd64.zip"],
      linux,
      "linux-exporter_linux_amd64.zip",
    ],
    [
      "a project named after another OS",
      ["darwin-sync_linux_amd64.zip", "darwin-sync_darwin_amd64.zip"],
      linux,
      "darwin-sync_linux_amd64.zip",
    ],
  ])("%s", (_, names, platform, expected) => {
    expect(chosen(names, platform)).toBe(expected);
    // Nothing here may hang on a file for people being listed first.
    expect(chosen(["README.md", "SHA256SUMS", ...names], platform)).toBe(expected);
  });

  test.each([
    "app_linux_amd64.tar.gz.sha256",
    "app_linux_amd64.tar.gz.sha256sum",
    "app_linux_amd64.tar.gz.sig",
    "app_linux_amd64.tar.gz.pem",
    "app_linux_amd64.sbom.json",
    "app_linux_amd64.deb",
    "app_linux_amd64.rpm",
    "app_linux_amd64.apk",
    "app_linux_amd64.tar.zst",
    "app_linux_amd64",
  ])("%s is no archive", (name) => {
    expect(chosen([name], linux)).toBeNull();
    expect(chosen([name, "app_linux_amd64.zip"], linux)).toBe("app_linux_amd64.zip");
  });

  test.each(["tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz", "tar", "zip", "TAR.GZ"])(
    "%s is one",
    (suffix) => {
      expect(chosen([`app_linux_amd64.${suffix}`], linux)).toBe(`app_linux_amd64.${suffix}`);
    },
  );

  test("artifact= takes exactly the file of that name", () => {
    expect(chosen(everyPlatform, linux, "app_1.0.0_linux_386.tar.gz")).toBe("app_1.0.0_linux_386.tar.gz");
    expect(chosen(everyPlatform, linux, "APP_1.0.0_linux_386.tar.gz")).toBeNull();
    expect(chosen(["tool.bin"], linux, "tool.bin")).toBe("tool.bin");
  });
});
