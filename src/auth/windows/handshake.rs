//! The messages of one login, made and read by the `sspi` crate.

use sspi::generator::GeneratorState;
use sspi::network_client::NetworkProtocol;
use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers,
    DataRepresentation, ErrorKind, KdcResolution, KerberosConfig, Negotiate, NegotiateConfig, Ntlm, SecurityBuffer,
    SecurityStatus, Sspi, SspiImpl, Username,
};

use super::{WindowsLogin, kdc};
use crate::auth::error::Error;
use crate::model::credential::WindowsScheme;

/// A login under way.
pub(super) struct Handshake {
    context: Context,
    spn: String,
    user: String,
    is_done: bool,
}

enum Context {
    Negotiate(Box<Negotiate>, Option<CredentialsBuffers>),
    Ntlm(Box<Ntlm>, Option<AuthIdentityBuffers>),
}

impl Handshake {
    pub(super) fn new(login: &WindowsLogin) -> Result<Self, Error> {
        let wrong = |error: sspi::Error| error_of(&error, &login.username, &login.spn);
        let username =
            Username::parse(&login.username).map_err(|_| Error::WindowsUser { user: login.username.clone() })?;
        let identity = AuthIdentity { username, password: login.password.expose().to_owned().into() };
        let context = match login.scheme {
            WindowsScheme::Negotiate => {
                let computer = "haul".to_owned();
                let kdc = KdcResolution::KdcUrl(login.kdc.clone());
                let kerberos = KerberosConfig { kdc_resolution: kdc, client_computer_name: computer.clone() };
                // A failure must not end in the weaker NTLM unnoticed; for that there is a scheme of its own.
                let packages = Some("kerberos,!ntlm".to_owned());
                let config = NegotiateConfig::new(Box::new(kerberos), packages, computer);
                let mut negotiate = Negotiate::new_client(config).map_err(wrong)?;
                let credentials = Credentials::from(identity);
                let acquired = negotiate
                    .acquire_credentials_handle()
                    .with_credential_use(CredentialUse::Outbound)
                    .with_auth_data(&credentials)
                    .execute(&mut negotiate)
                    .map_err(wrong)?;
                Context::Negotiate(Box::new(negotiate), acquired.credentials_handle)
            }
            WindowsScheme::Ntlm => {
                let mut ntlm = Ntlm::new();
                let acquired = ntlm
                    .acquire_credentials_handle()
                    .with_credential_use(CredentialUse::Outbound)
                    .with_auth_data(&identity)
                    .execute(&mut ntlm)
                    .map_err(wrong)?;
                Context::Ntlm(Box::new(ntlm), acquired.credentials_handle)
            }
        };
        Ok(Handshake { context, spn: login.spn.clone(), user: login.username.clone(), is_done: false })
    }

    /// Whether nothing of the server is awaited any more.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The next message to the server, after this one of it; the first one answers nothing.
    pub(super) async fn step(&mut self, input: &[u8]) -> Result<Vec<u8>, Error> {
        let stepped = match &mut self.context {
            Context::Negotiate(context, credentials) => step(context.as_mut(), credentials, &self.spn, input).await,
            Context::Ntlm(context, credentials) => step(context.as_mut(), credentials, &self.spn, input).await,
        };
        let (output, status) = stepped.map_err(|error| match error {
            StepError::Sspi(error) => error_of(&error, &self.user, &self.spn),
            StepError::Kdc(error) => error,
        })?;
        self.is_done = status == SecurityStatus::Ok;
        Ok(output)
    }
}

enum StepError {
    Sspi(sspi::Error),
    Kdc(Error),
}

async fn step<C>(
    context: &mut C,
    credentials: &mut C::CredentialsHandle,
    spn: &str,
    input: &[u8],
) -> Result<(Vec<u8>, SecurityStatus), StepError>
where
    C: Sspi + SspiImpl,
    C::CredentialsHandle: Send,
{
    let mut inputs = [SecurityBuffer::new(input.to_vec(), BufferType::Token)];
    let mut outputs = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
    let mut builder = context
        .initialize_security_context()
        .with_credentials_handle(credentials)
        .with_context_requirements(ClientRequestFlags::MUTUAL_AUTH)
        .with_target_data_representation(DataRepresentation::Native)
        .with_target_name(spn)
        .with_input(&mut inputs)
        .with_output(&mut outputs);
    let status = {
        let mut generator = context.initialize_security_context_impl(&mut builder).map_err(StepError::Sspi)?;
        let mut state = generator.start();
        loop {
            match state {
                GeneratorState::Completed(result) => break result.map_err(StepError::Sspi)?.status,
                GeneratorState::Suspended(request) => {
                    if request.protocol != NetworkProtocol::Tcp {
                        return Err(StepError::Kdc(Error::KdcScheme { url: request.url.to_string() }));
                    }
                    let answer = kdc::ask(&request.url, &request.data).await.map_err(StepError::Kdc)?;
                    state = generator.resume(Ok(answer));
                }
            }
        }
    };
    let [output] = outputs;
    Ok((output.buffer, status))
}

/// What the person can do about it differs; the library's text says the rest.
fn error_of(error: &sspi::Error, user: &str, spn: &str) -> Error {
    let why = error.description.clone();
    match error.error_type {
        // The library has one kind for an unknown user and an unknown service (RFC 4120, KDC_ERR_S_PRINCIPAL_UNKNOWN).
        _ if why.contains("SERVER_NOT_FOUND") || why.contains("server not found") => {
            Error::SpnUnknown { spn: spn.to_owned() }
        }
        ErrorKind::LogonDenied | ErrorKind::UnknownCredentials | ErrorKind::NoCredentials => {
            Error::WindowsRefused { user: user.to_owned() }
        }
        // A wrong password, as a key distribution centre says it (RFC 4120 section 7.5.9, KDC_ERR_PREAUTH_FAILED).
        _ if why.contains("pre-authentication information was invalid") => {
            Error::WindowsRefused { user: user.to_owned() }
        }
        ErrorKind::TimeSkew => Error::ClockSkew,
        ErrorKind::TargetUnknown | ErrorKind::WrongPrincipalName => Error::SpnUnknown { spn: spn.to_owned() },
        _ => Error::Windows { why: crate::http::excerpt(why.as_bytes()) },
    }
}
