# The Java part of tests/c/run: classes over JNA in tests/java, and their JUnit tests.
language Java

java_tests=$(cat tests/java/src/test/java/tidegate/*.java | grep -c '@Test')
java_version=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
if [ -z "$java_version" ]; then
    skip "all" "no JDK (Debian: apt-get install default-jdk-headless)" "$java_tests"
elif [ "$java_version" -lt 17 ]; then
    skip "all" "JDK $java_version is older than 17" "$java_tests"
elif ! command -v mvn >/dev/null; then
    skip "all" "no Maven (Debian: apt-get install maven)" "$java_tests"
elif ! mvn -q -B -f tests/java/pom.xml -Dtidegate.target="$out/java" test-compile >"$out/maven.log" 2>&1 &&
    grep -q "Could not transfer\|Could not resolve\|Unknown host" "$out/maven.log"; then
    skip "all" "Maven cannot reach its repository" "$java_tests"
else
    mvn -q -B -f tests/java/pom.xml -Dtidegate.target="$out/java" -Dtidegate.libdir="$out/release/lib" test >>"$out/maven.log" 2>&1
    java_status=$?
    # One line for each test case of the reports, from which maven's own exit status must not differ.
    python3 - "$out/java/surefire-reports" >"$out/java-lines.log" 2>&1 <<'PYTHON'
import sys
from pathlib import Path
from xml.etree import ElementTree

for report in sorted(Path(sys.argv[1]).glob("TEST-*.xml")):
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        failures = [case.find(kind) for kind in ("failure", "error")]
        failure = next((f for f in failures if f is not None), None)
        if case.find("skipped") is not None:
            print(f"skip {case.get('name')} # skipped by itself")
        elif failure is None:
            print(f"ok {case.get('name')}")
        else:
            print(f"not ok {case.get('name')}")
            print(f"# {failure.get('message')}")
PYTHON
    report() { cat "$out/java-lines.log" && [ "$java_status" -eq 0 ] || { tail -n 30 "$out/maven.log" | sed 's/^/# /'; return 1; }; }
    program "JUnit over JNA" bash -c "$(declare -f report); out='$out' java_status=$java_status report"
fi
