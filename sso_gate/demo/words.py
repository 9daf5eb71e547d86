"""What the demonstration's pages say, in the three languages; English sentences are the keys.

The product's own pages have gettext catalogues; these few sentences belong to no product page and stay out of them.
"""

SENTENCES: dict[str, dict[str, str]] = {
    "Demonstration identity provider": {
        "pt-BR": "Provedor de identidade de demonstração",
        "es": "Proveedor de identidad de demostración",
    },
    "Who are you?": {"pt-BR": "Quem é você?", "es": "¿Quién es usted?"},
    "Nobody here asks for a password: choose a person, and the provider will vouch for them.": {
        "pt-BR": "Aqui ninguém pede senha: escolha uma pessoa e o provedor responderá por ela.",
        "es": "Aquí nadie pide contraseña: elija a una persona y el proveedor responderá por ella.",
    },
    "Primary Owner: she may add seats": {
        "pt-BR": "Proprietária Principal: pode adicionar assentos",
        "es": "Propietaria Principal: puede añadir asientos",
    },
    "Invited: a seat is kept": {
        "pt-BR": "Convite: há um assento reservado",
        "es": "Invitación: hay un asiento reservado",
    },
    "First day at work": {"pt-BR": "Primeiro dia de trabalho", "es": "Primer día de trabajo"},
    "Signing you in": {"pt-BR": "Entrando", "es": "Iniciando sesión"},
    "The provider has signed a message about you. Your browser now carries it back.": {
        "pt-BR": "O provedor assinou uma mensagem sobre você. Seu navegador agora a leva de volta.",
        "es": "El proveedor ha firmado un mensaje sobre usted. Su navegador lo lleva ahora de vuelta.",
    },
    "Continue": {"pt-BR": "Continuar", "es": "Continuar"},
    "Signed out": {"pt-BR": "Sessão encerrada", "es": "Sesión cerrada"},
    "The provider has forgotten you. You can choose another person at the next login.": {
        "pt-BR": "O provedor esqueceu você. No próximo login você pode escolher outra pessoa.",
        "es": "El proveedor le ha olvidado. En el próximo inicio de sesión puede elegir a otra persona.",
    },
    "Sign out here": {"pt-BR": "Sair daqui", "es": "Cerrar la sesión aquí"},
    "The provider remembers you as:": {
        "pt-BR": "O provedor lembra de você como:",
        "es": "El proveedor le recuerda como:",
    },
    "The provider does not know you yet. A login at the application will bring you here.": {
        "pt-BR": "O provedor ainda não conhece você. Um login na aplicação traz você até aqui.",
        "es": "El proveedor aún no le conoce. Un inicio de sesión en la aplicación le traerá aquí.",
    },
    "This request cannot be answered": {
        "pt-BR": "Este pedido não pode ser respondido",
        "es": "Esta petición no puede responderse",
    },
    "Sample application": {"pt-BR": "Aplicação de exemplo", "es": "Aplicación de ejemplo"},
    "You are in.": {"pt-BR": "Você entrou.", "es": "Está dentro."},
    "This application has no login of its own. The gate told it who you are:": {
        "pt-BR": "Esta aplicação não tem login próprio. O portão disse a ela quem você é:",
        "es": "Esta aplicación no tiene inicio de sesión propio. La puerta le ha dicho quién es usted:",
    },
    "Name": {"pt-BR": "Nome", "es": "Nombre"},
    "Email": {"pt-BR": "E-mail", "es": "Correo"},
    "Role": {"pt-BR": "Papel", "es": "Rol"},
    "Organization": {"pt-BR": "Organização", "es": "Organización"},
    "Groups": {"pt-BR": "Grupos", "es": "Grupos"},
    "Stable id": {"pt-BR": "Identificador estável", "es": "Identificador estable"},
    "Signed assertion": {"pt-BR": "Asserção assinada", "es": "Aserción firmada"},
    "verified with the gate's published key": {
        "pt-BR": "verificada com a chave publicada do portão",
        "es": "verificada con la clave publicada de la puerta",
    },
    "not verified": {"pt-BR": "não verificada", "es": "no verificada"},
    "Your page at the gate": {"pt-BR": "Sua página no portão", "es": "Su página en la puerta"},
    "Billing Settings (Owners only)": {
        "pt-BR": "Configurações de Faturamento (só Proprietários)",
        "es": "Configuración de facturación (solo Propietarios)",
    },
    "Sign out": {"pt-BR": "Sair", "es": "Cerrar sesión"},
    "The gate does not answer": {"pt-BR": "O portão não responde", "es": "La puerta no responde"},
    "Language": {"pt-BR": "Idioma", "es": "Idioma"},
}


def translate(sentence: str, language: str) -> str:
    """Return the sentence in `en`, `pt-BR` or `es`.

    Raises:
        KeyError: the sentence is not in the table.
    """
    return SENTENCES[sentence].get(language, sentence)
