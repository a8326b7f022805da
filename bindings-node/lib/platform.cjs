'use strict';
// Which prebuilt binary fits this process: 'linux-x64-gnu', 'linux-arm64-musl', 'darwin-arm64', 'win32-x64-msvc', …

/** @returns {'gnu' | 'musl'} the C library this node was linked against */
function libc() {
  const { report } = process;
  const before = report.excludeNetwork;
  // Without this the report looks up host names, which can take seconds.
  report.excludeNetwork = true;
  try {
    return report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl';
  } finally {
    report.excludeNetwork = before;
  }
}

/** @returns {{ triple: string, os: string, cpu: string, libc?: 'gnu' | 'musl' }} */
function platform() {
  const { platform: os, arch: cpu } = process;
  if (os === 'linux') {
    const kind = libc();
    return { triple: `${os}-${cpu}-${kind}`, os, cpu, libc: kind };
  }
  return { triple: os === 'win32' ? `${os}-${cpu}-msvc` : `${os}-${cpu}`, os, cpu };
}

module.exports = { platform };
