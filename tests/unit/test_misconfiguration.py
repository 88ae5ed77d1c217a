"""Settings that open a door, in each kind of file; what is not looked at is said."""

from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools.analysers.dependencies import dependencies
from actors.artemis.tools.analysers.misconfiguration import misconfigured
from actors.artemis.tools.security import scan
from actors.artemis.tools.source_tree import read_archive
from tests.archives import zipped

OPEN = {
    "k8s/pod.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  hostNetwork: true\n  hostPID: true\n  containers:\n  - name: a\n"
    "    securityContext: {privileged: true, runAsUser: 0}\n  # privileged: true\n  volumes:\n  - name: v\n"
    "    hostPath:\n      path: /\n",
    "chart/templates/d.yaml": "{{- if x }}\napiVersion: apps/v1\nkind: Deployment\n{{- end }}\n      - privileged: true\n",
    "infra/main.tf": 'resource "aws_s3_bucket" "b" {\n  acl = "public-read"\n}\n  block_public_acls = false\n'
    '  publicly_accessible = true\n  # acl = "public-read"\n',
    "stack.yml": "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  B:\n    AccessControl: PublicReadWrite\n",
    "etc/nginx/site": "server {\n  autoindex on;\n  ssl_protocols TLSv1 TLSv1.2;\n}\n",
    "web.conf": "server {\n  autoindex on;\n  ssl_protocols TLSv1.2 TLSv1.3;\n}\n",
    "Dockerfile": "FROM python:3.11\nRUN apt-get update && \\\n  curl -s https://example.org/x | sudo bash -\nUSER root\n",
    "values.yaml": "privileged: true\nautoindex: on\n",
    "app.js": "db.query('SELECT ' + x)\n",
    "b.js": "x\n",
    "c.go": "package c\n",
}


def test_settings_that_open_a_door_are_found_in_each_kind_of_file_and_what_is_not_looked_at_is_said() -> None:
    files = read_archive(zipped(OPEN))
    found, unread = misconfigured(files.files)
    assert unread == []
    assert sorted((one.path, one.line, one.rule, one.severity) for one in found) == [
        ("Dockerfile", 1, "runs as root", "medium"),
        ("Dockerfile", 2, "piped to a shell", "medium"),
        ("chart/templates/d.yaml", 5, "privileged container", "high"),
        ("etc/nginx/site", 2, "folder listing", "medium"),
        ("etc/nginx/site", 3, "old TLS", "medium"),
        ("infra/main.tf", 2, "public bucket", "high"),
        ("infra/main.tf", 4, "public access", "medium"),
        ("infra/main.tf", 5, "public access", "high"),
        ("k8s/pod.yaml", 4, "host network", "medium"),
        ("k8s/pod.yaml", 5, "host processes", "medium"),
        ("k8s/pod.yaml", 8, "privileged container", "high"),
        ("k8s/pod.yaml", 8, "runs as root", "medium"),
        ("k8s/pod.yaml", 12, "host path", "medium"),
        ("stack.yml", 4, "public bucket", "high"),
        ("web.conf", 2, "folder listing", "medium"),
    ]
    assert (
        "Misconfiguration was looked for in 1 Dockerfile, 0 Compose files, 2 Kubernetes manifests, 1 Terraform file,"
        " 1 CloudFormation file, 2 nginx files, 0 GitHub workflows; weak code, SQL injection among it, is looked for in Python"
        " only: 2 JavaScript files, 1 Go file were searched for secrets only." in scan(files).findings
    )


def test_files_for_whose_settings_there_was_no_time_are_told() -> None:
    files = read_archive(
        zipped({"a.yaml": "\n" * 900_000, "b.yaml": "apiVersion: v1\nkind: Pod\nprivileged: true\n"})
    ).files
    found, unread = misconfigured(files)
    assert ([one.path for one in found], unread) == (["b.yaml"], [])
    found, unread = misconfigured(files, seconds=0)
    assert (found, [one.path for one in unread]) == ([], ["a.yaml", "b.yaml"])


def test_a_pinned_image_with_a_user_of_its_own_breaks_no_rule() -> None:
    good = "FROM python:3.11 AS build\nRUN x\nFROM build\nUSER app\nENV API_TOKEN=$TOKEN\n"
    bomb = "a: &a [x]\nb: &b [*a, *a]\nservices: {web: {environment: *b}}\n"
    files = {"Dockerfile": good, "docker-compose.yml": bomb, "deep/compose.yaml": "a: " + "[" * 9_000}
    found, unread = misconfigured(read_archive(zipped(files)).files)
    assert found == []
    assert [one.path for one in unread] == ["deep/compose.yaml"]


@given(
    st.text(max_size=200),
    st.sampled_from(
        [
            "compose.yml",
            "Dockerfile",
            "requirements.txt",
            "uv.lock",
            "package-lock.json",
            "package.json",
            "Pipfile",
            "Cargo.toml",
            "a.tf",
            "a.yaml",
        ]
    ),
)
def test_any_text_is_read_or_told(text: str, name: str) -> None:
    files = read_archive(zipped({name: text.encode("utf-8", "replace"), "a.py": "x"})).files
    misconfigured(files)
    dependencies(files)
