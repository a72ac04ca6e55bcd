"""Mail servers that ask for a password: it comes from a file, goes only over TLS and only to the server it is for."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.nps.mail.senders import Secrets, Sender
from services.nps.mail.smtp import Line, NoConnection, line
from tests.services.nps.mailbox import Mailbox, mail_server


def certificate(home: Path) -> ssl.SSLContext:
    """A server's context with a certificate for 127.0.0.1 of its own making, kept as `home/ca.pem`."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (home / "ca.pem").write_bytes(made.public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (home / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "ca.pem", home / "key.pem")
    return context


def sender(box: Mailbox, user: str | None = "genki", tls: str = "auto") -> Sender:
    """Whose server the box is."""
    return Sender("t_1", "127.0.0.1", box.port, tls, user, "cs@vendor.example", {"ja": "甲", "en": "A"})


async def sent(opened: Line) -> str:
    """What became of a mail to p."""
    fate = await opened.send("p@x.example", b"Subject: x\r\n\r\nx\r\n", _yes)
    return fate.kind


async def _yes() -> bool:
    return True


async def test_a_password_goes_over_tls_to_a_server_that_proves_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(certificate(tmp_path)) as box:
        with pytest.raises(NoConnection):  # nobody vouches for the certificate
            async with line(sender(box), "s3cret"):
                pass
        assert box.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with line(sender(box), "s3cret") as opened:
            assert await sent(opened) == "left"
        assert box.logins == [(b"genki", b"s3cret")]
        with pytest.raises(NoConnection, match="535"):
            async with line(sender(box), "wrong"):
                pass
    assert len(box.mails) == 1


@pytest.mark.parametrize("tls", ["auto", "starttls", "tls"])
async def test_a_password_never_goes_to_a_server_without_tls(tls: str) -> None:
    async with mail_server(greedy=True) as box:
        with pytest.raises(NoConnection):
            async with line(sender(box, tls=tls), "s3cret"):
                pass
        assert (box.logins, box.mails) == ([], [])
        async with line(sender(box, user=None), None) as opened:
            assert await sent(opened) == "left"


def test_a_password_is_found_only_for_its_tenant_host_and_user(tmp_path: Path) -> None:
    file = tmp_path / "smtp.toml"
    file.write_text('[t_1]\nhost = "127.0.0.1"\nuser = "genki"\npassword = "s3cret"\n')
    secrets, own = Secrets(str(file)), sender(Mailbox())
    assert secrets.password(own) == "s3cret"
    for other in ({"tenant_id": "t_2"}, {"host": "evil.example"}, {"user": "root"}, {"user": None}):
        assert secrets.password(Sender(**{**own.document(), **other})) is None
    file.write_text('[t_1]\nhost = "127.0.0.1"\nuser = "genki"\npassword = "n3w"\n')
    assert secrets.password(own) == "n3w"
    file.write_text("[broken")
    assert secrets.password(own) is None
    assert Secrets(None).password(own) is None


async def test_a_name_that_no_ascii_server_takes_bounces_and_a_wide_one_gets_it() -> None:
    async with mail_server() as box, line(sender(box, user=None), None) as opened:
        fate = await opened.send("山田@x.example", b"Subject: x\r\n\r\nx\r\n", _yes)
        assert fate.kind == "left"
        assert [to for to, _ in box.mails] == ["山田@x.example"]
